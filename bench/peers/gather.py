from pyinfra.operations import server

server.shell(name="gather", commands=["apt-get -s dist-upgrade"])

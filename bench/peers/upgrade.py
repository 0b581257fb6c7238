import os

from pyinfra.operations import apt

apt.packages(name="upgrade", packages=[os.environ["PACKAGE"]], latest=True, _sudo=True)

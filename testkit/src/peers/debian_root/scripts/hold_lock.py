# Holds dpkg's locks in dpkg's own way, by fcntl(2), until it is killed.
import fcntl
import signal

held = []
for name in ("lock-frontend", "lock"):
    file = open("/var/lib/dpkg/" + name, "w")
    fcntl.lockf(file, fcntl.LOCK_EX)
    held.append(file)
open("/run/dpkg-lock.held", "w").close()
signal.pause()

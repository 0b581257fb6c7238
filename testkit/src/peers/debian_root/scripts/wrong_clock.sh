# wrong_clock.sh OFFSET: every program that starts sees a clock that is wrong by the offset, such as -3y.
library=$(find /usr/lib -path '*/faketime/libfaketime.so.1')
[ -n "$library" ]
# Where it can, libfaketime shares its state and cleans that up at the end of a program. Of sshd the sandbox would kill
# the program for it, and nobody could log in.
mount -o remount,ro /dev/shm
printf '%s\n' "$1" >/etc/faketimerc
printf '%s\n' "$library" >/etc/ld.so.preload

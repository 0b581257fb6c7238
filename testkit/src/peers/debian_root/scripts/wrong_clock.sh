# wrong_clock.sh OFFSET: every program that starts sees a clock that is wrong by the offset, such as -3y.
library=$(find /usr/lib -path '*/faketime/libfaketime.so.1')
[ -n "$library" ]
printf '%s\n' "$1" >/etc/faketimerc
printf '%s\n' "$library" >/etc/ld.so.preload

# Says how a job stands, after waiting up to WAIT seconds for its end. Set before: those of lib.sh and WAIT.
sign_of_life
where
judge
i=0
case $phase in
running | claimed)
    # Only builtins and one sleep a turn: with fifty guests on one machine, forks here were 17 % of the time.
    while [ "$i" -lt $((WAIT * 2)) ] && [ ! -e "$d/rc" ]; do
        [ "$phase" = claimed ] || kill -0 "$pid" 2>/dev/null || break
        [ "$phase" = running ] || [ ! -e "$d/state" ] || judge
        sleep 0.5
        i=$((i + 1))
    done
    judge
    ;;
esac
report

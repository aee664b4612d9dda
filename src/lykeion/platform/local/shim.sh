# Runs a program and records how it ends, also when the supervisor is no longer there:
#   sh shim.sh DIRECTORY PROGRAM [ARGUMENT...]
# DIRECTORY/started says which process this is: its number, its start in clock ticks since boot, and the boot. Whoever
# makes that file first has the attempt, so that it runs once at most. DIRECTORY/exit is the exit code of the program.
set -f
directory=$1
shift

twentieth() { shift 19; echo "$1"; }

if [ -r "/proc/$$/stat" ]; then
    read -r stat < "/proc/$$/stat"
    start=$(twentieth ${stat##*) }) # of the fields after the name, which may hold spaces: the 22nd in all
    read -r boot < /proc/sys/kernel/random/boot_id
else
    start=$(ps -o lstart= -p $$ | tr -s ' ' '_')
    boot=$(sysctl -n kern.bootsessionuuid)
fi
echo "$$ $start $boot" > "$directory/.started.$$" || exit 125
ln "$directory/.started.$$" "$directory/started" || exit 125
rm -f "$directory/.started.$$"

trap : HUP INT QUIT TERM # this shell outlives a signal to its group; the program has its own way
"$@"
code=$?
echo "$code" > "$directory/.exit" && mv "$directory/.exit" "$directory/exit"
exit "$code"

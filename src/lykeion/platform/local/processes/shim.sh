# Runs a program and records how it ends, even if the supervisor no longer exists:
#   sh shim.sh DIRECTORY PROGRAM [ARGUMENT...]
# DIRECTORY/started identifies this process: its ID, its start in clock ticks since boot, and the boot. The process that
# creates that file first owns the attempt, so that it runs at most once. DIRECTORY/exit is the program's exit code.
# If DIRECTORY/cgroup is a link to a control group, the program joins it; this shell does not, and survives its end.
set -f
directory=$1
shift

twentieth() { shift 19; echo "$1"; }

if [ -r "/proc/$$/stat" ]; then
    read -r stat < "/proc/$$/stat"
    start=$(twentieth ${stat##*) }) # of the fields after the name, which may contain spaces; the 22nd in all
    read -r boot < /proc/sys/kernel/random/boot_id
else
    start=$(ps -o lstart= -p $$ | tr -s ' ' '_')
    boot=$(sysctl -n kern.bootsessionuuid)
fi
echo "$$ $start $boot" > "$directory/.started.$$" || exit 125
ln "$directory/.started.$$" "$directory/started" || exit 125
rm -f "$directory/.started.$$"

trap : HUP INT QUIT TERM # this shell survives a signal to its group; the program handles it itself
if [ -d "$directory/cgroup" ]; then
    (echo 0 > "$directory/cgroup/cgroup.procs" && exec "$@")
else
    "$@"
fi
code=$?
echo "$code" > "$directory/.exit" && mv "$directory/.exit" "$directory/exit"
exit "$code"

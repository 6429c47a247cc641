# Toggles the static key behind kernel.sched_schedstats while two processes on the other CPU hand a byte to each other: sleeping and waking all the time.
# caught no-sync
# expect text_poke_bp_batch = ROUNDS
mkfifo /tmp/there /tmp/back
taskset 2 dd if=/tmp/there of=/tmp/back bs=1 2> /dev/null &
taskset 2 sh -c 'exec dd if=/tmp/back of=/tmp/there bs=1 2> /dev/null' &
echo > /tmp/back &
taskset -p 1 $$ > /dev/null
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	echo $((i % 2)) > /proc/sys/kernel/sched_schedstats
	read -r now < /proc/sys/kernel/sched_schedstats
	[ "$now" = $((i % 2)) ] || { echo "toggle $i reads back as $now"; exit 1; }
done
kill %1 %2

# Changes the kernel's model of preemption, and with it 3,000 static calls (cond_resched and its like), ROUNDS times, while the other CPU is in a short loop with one of them.
# caught no-sync
files=/proc/kpagecount
for i in 1 2 3 4 5 6; do
	files="$files $files"
done
load() {
	while [ ! -e /tmp/stop ]; do
		cat $files > /dev/null
	done
}
load &
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	echo full > /sys/kernel/debug/sched/preempt || exit 1
	echo voluntary > /sys/kernel/debug/sched/preempt || exit 1
done
: > /tmp/stop
kill $!
wait

# A tracepoint in the scheduler, on and off, ROUNDS times; its trace has entries each time.
# caught no-sync
cd /sys/kernel/debug/tracing || exit 1
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	echo > trace
	echo 1 > events/sched/sched_switch/enable
	echo one | cat > /dev/null
	echo 0 > events/sched/sched_switch/enable
	grep -q sched_switch: trace || { echo "nothing was traced in round $i"; exit 1; }
done

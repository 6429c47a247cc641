# Patches code while the other CPU polls in its idle loop (idle=poll): it is told of work without an interrupt, and so no IRET of one hides what a sync lacks.
# caught no-sync
# caught no-core
# append idle=poll
cd /sys/kernel/debug/tracing || exit 1
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	echo 1 > events/workqueue/workqueue_execute_start/enable
	echo 1 > /proc/sys/vm/stat_refresh
	echo 0 > events/workqueue/workqueue_execute_start/enable
	echo 1 > /proc/sys/vm/stat_refresh
done

# Toggles the static key behind kernel.sched_schedstats while the other CPU works: processes, pipes, sleeping and waking.
# caught no-sync
# expect text_poke_bp_batch = ROUNDS
load() {
	while [ ! -e /tmp/stop ]; do
		echo load | cat > /dev/null
	done
}
load &
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	echo $((i % 2)) > /proc/sys/kernel/sched_schedstats
	read -r now < /proc/sys/kernel/sched_schedstats
	[ "$now" = $((i % 2)) ] || { echo "toggle $i reads back as $now"; exit 1; }
done
: > /tmp/stop
wait

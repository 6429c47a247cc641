# The function tracer over all functions that can be traced, on and off, ROUNDS times, while the other CPU works.
# caught no-sync
cd /sys/kernel/debug/tracing || exit 1
load() {
	while [ ! -e /tmp/stop ]; do
		echo load | cat > /dev/null
	done
}
echo 0 > tracing_on
load &
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	echo function > current_tracer || exit 1
	echo nop > current_tracer || exit 1
done
: > /tmp/stop
wait

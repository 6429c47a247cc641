# Loads test_static_keys.ko, which turns its static keys and tries each of their branches, ROUNDS times, while the other CPU makes processes.
# flavour amd64
# module test_static_keys
# megabytes 512
# caught no-sync
load() {
	while [ ! -e /tmp/stop ]; do
		echo load | cat > /dev/null
	done
}
load &
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	insmod /modules/test_static_key_base.ko || exit 1
	insmod /modules/test_static_keys.ko || exit 1
	rmmod test_static_keys test_static_key_base || exit 1
done
: > /tmp/stop
wait

# A kprobe behind the place of ftrace's call, where it stays a breakpoint: hit once for each file that is opened.
# caught no-sync
# A preemptible kernel steps the instruction out of line, and there a second breakpoint stands behind it: two runs for each hit.
# expect kprobe_int3_handler = 2*hits
echo 0 > /proc/sys/debug/kprobes-optimization
cd /sys/kernel/debug/tracing || exit 1
echo 'p:emu do_sys_openat2+5' > kprobe_events || exit 1
echo 1 > events/kprobes/emu/enable
i=0
while [ $i -lt ROUNDS ]; do
	i=$((i + 1))
	read -r line < /proc/version
done
echo 0 > events/kprobes/emu/enable
while read -r name hits missed; do
	[ "$name" = emu ] && echo "hits=$hits missed=$missed"
done < kprobe_profile
echo > kprobe_events

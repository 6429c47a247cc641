# SPDX-License-Identifier: MIT
# Reads `nm -n`, writes the table that kernel/kallsyms.c searches: functions by address.
BEGIN {
	print "\t.section .kallsyms, \"a\""
	print "\t.balign 8"
	print "\t.globl kallsyms_table, kallsyms_end, kallsyms_names"
	print "kallsyms_table:"
}
$2 ~ /^[tT]$/ && $3 !~ /^(_text|_etext|_sinittext|_einittext|__init_begin|__init_end|__sites_begin)$/ {
	address = $1
	sub(/^00000000(........)$/, "&", address)
	printf "\t.long 0x%s, %d\n", substr(address, length(address) - 7), offset
	names = names "\t.asciz \"" $3 "\"\n"
	offset += length($3) + 1
}
END {
	print "kallsyms_end:"
	print "kallsyms_names:"
	printf "%s", names
	print "\t.byte 0"
	print "\t.section .note.GNU-stack, \"\", @progbits"
}

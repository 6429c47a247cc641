# SPDX-License-Identifier: MIT
# From "address file:line" of every address at which a line begins: what emulator/Exploration/WitnessSource.cs reads.
BEGIN { print "lines of image " image }
{
	sub(/ \(discriminator [0-9]+\)$/, "")
	sub(/ \.\//, " ")
	place = substr($0, index($0, " ") + 1)
	if (place != last && place !~ /^\?/)
		print substr($1, 3) " " place
	last = place
}

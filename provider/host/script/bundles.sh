# --- bundles
#
# Lines `NAME BYTES`, an empty line, then the files' bytes one after the other.

receive() { # SHA256 DIRECTORY
	cat >"$2/bundle" 2>/dev/null
	if [ "$(sha256sum <"$2/bundle" | cut -d' ' -f1)" != "$1" ]; then
		# A short file means a full disk here, or a cut connection; the free space tells which.
		say storage 1 "the upload did not arrive whole: $(($(wc -c <"$2/bundle"))) bytes in $2; $(df -k "$2" 2>/dev/null | tail -n 1)"
		# Whoever asks for this transaction later must learn that it never began.
		rm -rf "$2"
		end
	fi
	offset=0
	while IFS= read -r line; do
		offset=$((offset + ${#line} + 1))
		[ -n "$line" ] || break
	done <"$2/bundle"
	while IFS=' ' read -r name bytes; do
		[ -n "$name" ] || break
		tail -c +"$((offset + 1))" "$2/bundle" | head -c "$bytes" >"$2/$name" || {
			say storage 1 "cannot unpack $name in $2"
			end
		}
		offset=$((offset + bytes))
	done <"$2/bundle"
}

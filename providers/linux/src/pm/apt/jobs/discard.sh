# Removes the old packages that were kept for the way back. Set before: ROLLBACK.

rm -rf -- "$ROLLBACK" && say discarded

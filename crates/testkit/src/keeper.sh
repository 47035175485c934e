# Parent of the test server. Arguments: home folder, name of the server's folder in it, postgres,
# for how many seconds it waits for a user.
home=$1
folder=$1/$2
postgres=$3
patience=$4

# Held for as long as this process lives; a test process looks whether it is.
exec 8>"$home/alive"
flock -n 8 || exit 1

as=
if [ "$(id -u)" = 0 ]; then
    as="unshare -U --map-user=1000 --map-group=1000 --"
fi
# The server ends when this shell does, however that happens.
$as setpriv --pdeathsig INT "$postgres" -D "$folder/pg" \
    -c port=5432 -c listen_addresses= -c unix_socket_directories="$folder" \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c autovacuum=off -c jit=off -c max_connections=300 -c shared_buffers=64MB \
    -c max_wal_size=512MB -c dynamic_shared_memory_type=mmap 8>&- &
server=$!

idle=0
held=
while kill -0 "$server" 2>/dev/null; do
    sleep 1
    if flock -n -x "$home/users" true 2>/dev/null 8>&-; then
        idle=$((idle + 1))
    else
        idle=0
    fi
    [ "$idle" -ge "$patience" ] || continue
    exec 9>"$home/lock"
    flock -x 9
    if flock -n -x "$home/users" true 8>&-; then
        held=yes
        break
    fi
    exec 9>&-
    idle=0
done

# After a crash of the server the lock is not held yet. While it is, nobody enters.
if [ -z "$held" ]; then
    exec 9>"$home/lock"
    flock -x 9
fi
kill -INT "$server" 2>/dev/null
wait "$server"
# Gone at once: who waits for the lock finds no folder, rather than one that is half removed.
mv "$home" "$home.$$"
rm -rf "$home.$$"

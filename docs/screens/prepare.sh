# Makes what is on the machines of the screens. Each variable is the directory of one of them.
# $HOME is that of the person, who works in ~/site.
set -e

export GIT_AUTHOR_NAME=Kim GIT_AUTHOR_EMAIL=kim@example.com
export GIT_COMMITTER_NAME=Kim GIT_COMMITTER_EMAIL=kim@example.com

commit() {
    export GIT_AUTHOR_DATE="$2T10:00:00Z" GIT_COMMITTER_DATE="$2T10:00:00Z"
    git add . && git commit --quiet --message "$1"
}

git init --quiet --initial-branch=main "$GIT1/site"
cd "$GIT1/site"
echo '<h1>Hello</h1>' >index.html
commit 'The first page' 2026-02-27 && git tag v1.0
mkdir css && echo 'h1 { color: navy }' >css/site.css
commit 'Headings have a colour' 2026-03-02 && git tag v1.1
echo '<p>Write to us.</p>' >>index.html
commit 'There is an address' 2026-03-09 && git tag v1.2
echo 'h1 { color: teal }' >css/site.css
commit 'Another colour' 2026-03-16

for machine in "$STAGING1" "$WEB1" "$WEB2" "$WEB3"; do
    git clone --quiet "$GIT1/site" "$machine/site"
    (cd "$machine/site" && git reset --quiet --hard v1.1)
    mkdir "$machine/bin"
    cat >"$machine/bin/server" <<'END'
#!/bin/sh
case $1 in
restart) echo "restarted with $(git -C site describe --tags)" ;;
check) [ "$SLUG" != web2 ] || { echo 'no answer on port 8000' >&2; exit 1; }; echo '200 OK' ;;
esac
END
    chmod +x "$machine/bin/server"
done

# The disk of the database is full until there is a file ~/free.
mkdir "$DB1/bin"
cat >"$DB1/bin/dump" <<'END'
#!/bin/sh
echo "dumping $1"
[ -e free ] || { echo 'dump: cannot write: no space left on device' >&2; exit 28; }
echo '3 tables, 1204 rows'
END
chmod +x "$DB1/bin/dump"

# One of many servers has a full disk; each goes on when there is a file ~/go or ~/go-NAME.
mkdir "$OTHERS/bin"
cat >"$OTHERS/bin/deploy" <<'END'
#!/bin/sh
wait_for() { until [ -e "go-$SLUG" ] || [ -e go ]; do sleep 0.05; done; }
echo "fetching $1"
if [ "$SLUG" = web07 ]; then
    echo 'no space left on device' >&2
    exit 1
fi
if [ "$SLUG" = web14 ]; then
    printf 'Overwrite local changes? [y/N] '
    read answer
else
    echo 'building static files'
    touch "ready-$SLUG"
    wait_for
fi
echo done
END
chmod +x "$OTHERS/bin/deploy"

mkdir -p "$HOME/site/public"
cd "$HOME/site/public"
printf '<h1>Not found</h1>\n' >404.html
printf 'User-agent: *\n' >robots.txt

# Completes the words of a program that is made with deployer, in bash from version 4.2.
#
# In this session, and in all of them when ~/.bashrc has this line, with the program's whole path:
#
#     eval "$(./deploy.py completion bash)"
#
# Each program is set up by itself. Other files of the same name are never run for completion.

# What is known of each program, under the same index: another name that it goes by, the Python that
# runs it, and its file.
declare -ga _deployer_names _deployer_pythons _deployer_files

_deployer_add() {
    local index=0
    while [[ -n ${_deployer_files[index]-} && ${_deployer_files[index]} != "$3" ]]; do
        index=$((index + 1))
    done
    _deployer_names[index]=$1 _deployer_pythons[index]=$2 _deployer_files[index]=$3
    local name
    # bash takes a quoted path apart without its quotes.
    for name in "$1" "${3##*/}" "${3##*/}'" "${3##*/}\""; do
        [[ -z $name ]] || complete -F _deployer_complete -- "$name"
    done
}

_deployer_complete() {
    COMPREPLY=()
    local -a words=()
    local word='' quote='' head='' redirects='' line before after

    # bash has split the words at = and : too, and left the quotes in them.
    before=${COMP_LINE:0:COMP_POINT}
    after=${COMP_LINE:COMP_POINT}
    _deployer_split "$before" $((${#before} - ${#2}))
    if [[ -n $redirects ]]; then
        compopt -o default
        return 0
    fi
    local current=$word open=$quote count=${#words[@]}
    words+=("$current")
    # The rest of the word that the cursor is in stays where it is.
    _deployer_split "${after#"${after%%[[:space:]]*}"} " -1

    local index
    if ! _deployer_find "${words[0]}"; then
        compopt -o default
        return 0
    fi
    local output
    output=$("${_deployer_pythons[index]}" "${_deployer_files[index]}" \
        --complete bash $((count - 1)) -- "${words[@]:1}" </dev/null 2>/dev/null) || return 0

    local -a helps=()
    local value
    while IFS= read -r line; do
        case $line in
            *$'\t'*)
                value=${line%%$'\t'*}
                # Only what comes after the head is replaced.
                if [[ $value == "$head"* ]]; then
                    _deployer_quote "${value#"$head"}" "$open"
                    COMPREPLY+=("$value")
                    helps+=("${line#*$'\t'}")
                fi
                ;;
            nospace) compopt -o nospace ;;
            files) compopt -o default ;;
            directories) compopt -o dirnames ;;
        esac
    done <<<"$output"
    # Asked to list what there is, bash inserts nothing: only then may there be help in it.
    if [[ $COMP_TYPE == 63 && ${#COMPREPLY[@]} -gt 1 ]]; then
        _deployer_describe
    fi
}

# Split a line into `words` and an unfinished `word`, with the `quote` that is open in it. Nothing is
# expanded: no command in it runs. `head` becomes what of the word comes before an offset.
_deployer_split() {
    local line=$1 offset=$2 begun='' char next
    word='' quote=''
    local i=0
    while ((i < ${#line})); do
        if ((i == offset)); then head=$word; fi
        char=${line:i:1} next=${line:i+1:1}
        i=$((i + 1))
        if [[ $quote == "'" && $char != "'" ]]; then
            word+=$char
        elif [[ $char == \\ && $quote != "'" ]]; then
            # Within double quotes it is itself before most characters.
            if [[ $quote == '"' && $next != [\\\"\$\`] ]]; then word+=\\; fi
            word+=$next begun=1 i=$((i + 1))
        elif [[ $char == "$quote" ]]; then
            quote=''
        elif [[ -z $quote && $char == [\'\"] ]]; then
            quote=$char begun=1
        elif [[ -z $quote && $char == [[:space:]\<\>] ]]; then
            # The file of a redirection is no word of the program.
            if [[ -n $begun && -z $redirects ]]; then words+=("$word"); fi
            if [[ -n $begun ]]; then redirects=''; fi
            if [[ $char == [\<\>] ]]; then redirects=1; fi
            word='' begun=''
        elif [[ -z $quote && $char == [\;\|\&] ]]; then
            return 0
        else
            word+=$char begun=1
        fi
    done
    if ((i == offset)); then head=$word; fi
}

# Set `index` to that of the program that a command stands for.
_deployer_find() {
    local command=$1 file
    if [[ $command == '~/'* ]]; then command=$HOME/${command#'~/'}; fi
    file=$command
    if [[ $command != */* ]]; then file=$(type -P -- "$command") || file=''; fi
    for index in "${!_deployer_files[@]}"; do
        if [[ $command == "${_deployer_names[index]}" ]]; then return 0; fi
        if [[ $file -ef ${_deployer_files[index]} ]]; then return 0; fi
    done
    return 1
}

# Set `value` to a text so quoted that bash takes it as it is, where a quote is open or none is.
_deployer_quote() {
    local text=$1 char
    case $2 in
        '')
            printf -v value %q "$text"
            # Where no brace is open, a comma is nothing special.
            value=${value//\\,/,}
            ;;
        \')
            value=''
            local i
            for ((i = 0; i < ${#text}; i++)); do
                char=${text:i:1}
                if [[ $char == \' ]]; then char="'\\''"; fi
                value+=$char
            done
            ;;
        \")
            value=''
            for ((i = 0; i < ${#text}; i++)); do
                char=${text:i:1}
                case $char in
                    [\\\"\$\`]) char=\\$char ;;
                    '!') char="\"'!'\"" ;;
                esac
                value+=$char
            done
            ;;
    esac
    # bash closes the quote, unless it takes a last character like it for the end.
    if [[ -n $2 && $value == *"$2" ]]; then value+=$2; fi
}

# Show the help beside each completion, one in a line where bash would make columns of them.
_deployer_describe() {
    local width=0 room i text
    for text in "${COMPREPLY[@]}"; do
        if ((${#text} > width)); then width=${#text}; fi
    done
    # Less than a third of the line is no help.
    room=$((${COLUMNS:-80} - width - 4))
    if ((room < ${COLUMNS:-80} / 3)); then return 0; fi
    for i in "${!COMPREPLY[@]}"; do
        printf -v text "%-*s  %.*s" "$width" "${COMPREPLY[i]}" "$room" "${helps[i]}"
        printf -v "COMPREPLY[i]" "%-*s" $((${COLUMNS:-80} / 2)) "$text"
    done
}

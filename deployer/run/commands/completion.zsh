# Completes the words of a program that is made with deployer, in zsh.
#
# In this session, and in all of them when ~/.zshrc has this line, with the program's whole path,
# after `compinit` if that is there:
#
#     eval "$(./deploy.py completion zsh)"
#
# Each program is set up by itself. Other files of the same name are never run for completion.

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }

# What is known of each program, by its file: the Python that runs it, and another name that it
# goes by.
typeset -gA _deployer_pythons _deployer_names

_deployer_add() {
    _deployer_names[$3]=$1
    _deployer_pythons[$3]=$2
    # zsh looks for a quoted path without the first of its quotes.
    compdef _deployer_complete ${1:+"$1"} "${3:t}" "${3:t}'" "${3:t}\""
}

_deployer_complete() {
    local program file command=${(Q)words[1]}
    [[ $command == '~/'* ]] && command=$HOME/${command#'~/'}
    file=$command
    [[ $command == */* ]] || file=${commands[$command]-}
    for program in "${(@k)_deployer_pythons}" ''; do
        [[ $command == "$_deployer_names[$program]" || $file -ef $program ]] && break
    done
    if [[ -z $program ]]; then
        _default
        return
    fi

    # zsh replaces the word up to the cursor, and has the quotes left in all words.
    local current="${(Q)IPREFIX}${(Q)PREFIX}"
    local output
    output=$("$_deployer_pythons[$program]" "$program" --complete zsh $((CURRENT - 2)) -- \
        "${(@Q)words[2,CURRENT-1]}" "$current" "${(@Q)words[CURRENT+1,-1]}" \
        </dev/null 2>/dev/null) || return 1

    local line value result=1
    local -a described
    for line in "${(@f)output}"; do
        case $line in
            *$'\t'*)
                # What _describe splits at the first colon that has no backslash before it.
                value=${${line%%$'\t'*}//\\/\\\\}
                described+=("${value//:/\\:}:${line#*$'\t'}")
                ;;
            # What was typed is compared by the program, in its own way.
            space)
                _describe -t words word described -U && result=0
                described=()
                ;;
            nospace)
                _describe -t beginnings word described -U -S '' && result=0
                described=()
                ;;
            files)
                compset -P '--*='
                _files && result=0
                ;;
            directories)
                compset -P '--*='
                _files -/ && result=0
                ;;
        esac
    done
    return result
}

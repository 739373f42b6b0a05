# Completes the words of a program that is made with deployer, in fish.
#
# In this session, and in all of them when ~/.config/fish/config.fish has this line, with the
# program's whole path:
#
#     ./deploy.py completion fish | source
#
# Each program is set up by itself. Other files of the same name are never run for completion.

# What is known of each program, at the same place: another name that it goes by, the Python that
# runs it, and its file.
set -q _deployer_files; or set -g _deployer_names
set -q _deployer_files; or set -g _deployer_pythons
set -q _deployer_files; or set -g _deployer_files

function _deployer_add --argument-names name python file
    set -l place (contains --index -- $file $_deployer_files)
    or set place (math (count $_deployer_files) + 1)
    set _deployer_names[$place] $name
    set _deployer_pythons[$place] $python
    set _deployer_files[$place] $file
    for command in $name (string replace --regex '^.*/' '' -- $file)
        if test -n "$command"
            complete --command $command --no-files --keep-order --arguments '(_deployer_complete)'
        end
    end
end

function _deployer_complete
    set -l before (commandline --current-process --tokenize --cut-at-cursor)
    set -l all (commandline --current-process --tokenize)
    set -l current (_deployer_unquote (commandline --current-token --cut-at-cursor))
    # The rest of the word that the cursor is in stays where it is.
    set -l first_after (math (count $before) + 1)
    set -l token (commandline --current-token)
    if test -n "$token"
        set first_after (math $first_after + 1)
    end
    set -l after $all[$first_after..-1]
    # Variables may be set before the command.
    while string match --quiet --regex '^\w+=' -- $before[1]
        set --erase before[1]
    end

    set -l place (_deployer_find $before[1])
    if test -z "$place"
        __fish_complete_path $current
        return
    end
    set -l output ($_deployer_pythons[$place] $_deployer_files[$place] \
        --complete fish (math (count $before) - 1) -- $before[2..-1] $current $after \
        </dev/null 2>/dev/null)
    or return
    # The name of an option, when its value is in the same word.
    set -l option (string match --regex -- '^--[^=]*=' $current)
    set -l value (string replace -- "$option" '' $current)
    for line in $output
        switch $line
            case '*'\t'*'
                echo $line
            case files
                string replace --regex -- '^' "$option" (__fish_complete_path $value)
            case directories
                string replace --regex -- '^' "$option" (__fish_complete_directories $value)
        end
    end
end

# Print the place of the program that a command stands for.
function _deployer_find --argument-names command
    if contains --index -- $command $_deployer_names
        return
    end
    set -l file (string replace --regex '^~/' "$HOME/" -- $command)
    string match --quiet '*/*' -- $file
    or set file (command --search -- $command)
    or return
    set file (realpath -- $file 2>/dev/null)
    or return
    for place in (seq (count $_deployer_files))
        set -l known (realpath -- $_deployer_files[$place] 2>/dev/null)
        if test "$file" = "$known"
            echo $place
            return
        end
    end
end

# Print a word without its quotes, of which one may be open still.
function _deployer_unquote --argument-names word
    string unescape -- $word
    or string unescape -- "$word'"
    or string unescape -- "$word\""
    or echo $word
end

# Completion of wspr for fish. The program itself knows what may come.

function __wspr_complete
    set -l words (commandline -opc)
    for line in ($words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path (commandline -ct)
            case ':nospace'
            case '*'
                echo $line
        end
    end
end

complete -c wspr -f -a '(__wspr_complete)'

# The work of check-includes: reads includes.allow, then every file named in the file `files`.

function expand(word, forbid,    name, parts, n, i)
{
    if (substr(word, 1, 1) == "!")
        return "!" substr(word, 2)
    if (substr(word, 1, 1) != "@")
        return word
    name = substr(word, 2)
    if (!(name in sets)) {
        printf "Bail out! includes.allow:%d: no set is named %s\n", FNR, name
        broken = 1
        exit 1
    }
    return sets[name]
}

# Tells whether the header h (with its < > if it has them) is what the token t names.
function names(t, h)
{
    if (t == h)
        return 1
    if (t ~ /\/>$/)
        return index(h, substr(t, 1, length(t) - 1)) == 1
    if (t ~ /\/$/)
        return index(h, t) == 1
    return 0
}

# The rule of core is for core/wsprd*; each folder of core has one of its own.
function rule_of(file,    folder)
{
    folder = file
    if (file ~ /^core\/[^\/]*$/)
        return "core"
    while (sub(/\/[^\/]*$/, "", folder)) {
        if (folder in rules && folder != "core")
            return folder
    }
    return ""
}

function allowed(file, rule, header,    own, n, i, tokens, ok)
{
    own = file
    sub(/\/[^\/]*$/, "", own)
    if (header !~ /[<\/]/ && (own "/" header) in exists)
        return 1
    # The own folder by its path; plugins and examples are one folder each.
    own = rule
    if (rule ~ /^(core|include)\// && sub(/^[a-z]*\//, "", own) && index(header, own "/") == 1)
        return 1
    n = split(rules[rule], tokens, " ")
    ok = 0
    for (i = 1; i <= n; i++) {
        if (substr(tokens[i], 1, 1) == "!") {
            if (names(substr(tokens[i], 2), header))
                ok = 0
        } else if (names(tokens[i], header)) {
            ok = 1
        }
    }
    return ok
}

function complain(rule, file, line, text)
{
    bad[rule] = bad[rule] sprintf("# %s:%d: %s\n", file, line, text)
}

function scan(file,    rule, text, line, seen, header)
{
    rule = rule_of(file)
    if (rule == "") {
        complain("other folders", file, 1, "no rule of includes.allow covers this folder")
        return
    }
    count[rule]++
    line = 0
    seen = 0
    while ((getline text < file) > 0) {
        line++
        if (text !~ /^[ \t]*#[ \t]*include[ \t]/)
            continue
        header = text
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
        if (header ~ /^</) {
            sub(/>.*/, ">", header)
        } else {
            sub(/^"/, "", header)
            sub(/".*/, "", header)
        }
        seen++
        if (header == "config.h") {
            if (file ~ /\.h$/)
                complain(rule, file, line, "a header may not include config.h")
            else if (seen > 1)
                complain(rule, file, line, "config.h comes first")
            continue
        }
        if (seen == 1 && file ~ /\.c$/ && rule != "examples" && rule != "plugins" &&
            rule != "tests/plugins/odd" && rule != "tests/abi/1.0")
            complain(rule, file, line, "config.h comes first")
        if (!allowed(file, rule, header))
            complain(rule, file, line, rule " may not include " header)
    }
    close(file)
}

/^[ \t]*(#|$)/ { next }

{
    # A second line of the same name adds to the first.
    first = $1 == "set" ? 3 : 2
    value = ""
    for (i = first; i <= NF; i++)
        value = value " " expand($i)
    if ($1 == "set") {
        sets[$2] = sets[$2] value
    } else {
        if (!($1 in rules))
            order[++n_rules] = $1
        rules[$1] = rules[$1] value
    }
}

END {
    if (broken)
        exit 1
    while ((getline name < files) > 0) {
        exists[name] = 1
        list[++n_files] = name
    }
    for (i = 1; i <= n_files; i++)
        scan(list[i])
    order[++n_rules] = "other folders"
    for (i = 1; i <= n_rules; i++) {
        rule = order[i]
        if (rule == "other folders" && bad[rule] == "")
            continue
        printf "%s%sok %d - includes of %s (%d files)\n", bad[rule], bad[rule] != "" ? "not " : "",
            ++n, rule, count[rule]
        failed += bad[rule] != ""
    }
    printf "1..%d\n", n
    exit failed > 0
}

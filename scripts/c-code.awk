# Prints C files with the contents of comments, strings and character constants blanked out, each line
# as "file:line:code". A line comment is kept as "//" so that the style check sees it.

FNR == 1 { inside = 0 }

{
    code = ""
    text = $0
    while (text != "") {
        if (inside) {
            end = index(text, "*/")
            if (!end)
                break
            text = substr(text, end + 2)
            inside = 0
            continue
        }
        if (!match(text, /\/\*|\/\/|"|'/)) {
            code = code text
            break
        }
        mark = substr(text, RSTART, RLENGTH)
        code = code substr(text, 1, RSTART - 1)
        text = substr(text, RSTART + RLENGTH)
        if (mark == "/*") {
            inside = 1
        } else if (mark == "//") {
            code = code "//"
            break
        } else {
            quoted = mark == "\"" ? "^([^\"\\\\]|\\\\.)*\"?" : "^([^'\\\\]|\\\\.)*'?"
            match(text, quoted)
            code = code mark mark
            text = substr(text, RLENGTH + 1)
        }
    }
    printf "%s:%d:%s\n", FILENAME, FNR, code
}

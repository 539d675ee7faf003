dnl Where the shells look for completions. Systems differ in that, so each folder can be given to configure as
dnl a variable; Debian wants zshcompdir=/usr/share/zsh/vendor-completions.
AC_DEFUN([WSPR_COMPLETION],
[AC_ARG_VAR([bashcompdir], [folder for completions of bash])
AC_ARG_VAR([zshcompdir], [folder for completions of zsh])
AC_ARG_VAR([fishcompdir], [folder for completions of fish])
AS_IF([test "x$bashcompdir" = x], [bashcompdir='${datadir}/bash-completion/completions'])
AS_IF([test "x$zshcompdir" = x], [zshcompdir='${datadir}/zsh/site-functions'])
AS_IF([test "x$fishcompdir" = x], [fishcompdir='${datadir}/fish/vendor_completions.d'])])

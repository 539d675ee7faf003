dnl --with-sanitizer=address,undefined (or thread, memory ...) builds everything with these.
AC_DEFUN([WSPR_SANITIZER],
[AC_ARG_WITH([sanitizer],
  [AS_HELP_STRING([--with-sanitizer=LIST],
    [instrument the build, for example address,undefined or thread])],
  [], [with_sanitizer=no])
SANITIZER_CFLAGS=
AS_CASE([$with_sanitizer],
  [no], [],
  [yes], [with_sanitizer=address,undefined],
  [])
AS_IF([test "x$with_sanitizer" != xno],
  [SANITIZER_CFLAGS="-fsanitize=$with_sanitizer -fno-sanitize-recover=all -fno-omit-frame-pointer"
   AC_DEFINE([WSPR_SANITIZED], [1], [Built with a sanitizer])])
AM_CONDITIONAL([SANITIZED], [test "x$with_sanitizer" != xno])
AC_SUBST([SANITIZER_CFLAGS])])

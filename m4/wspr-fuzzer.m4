dnl --with-fuzzer links the fuzz targets with libFuzzer (clang); without it they replay their corpus.
AC_DEFUN([WSPR_FUZZER],
[AC_ARG_WITH([fuzzer],
  [AS_HELP_STRING([--with-fuzzer], [link fuzz targets with libFuzzer (needs clang)])],
  [], [with_fuzzer=no])
FUZZ_CFLAGS= FUZZ_LDFLAGS=
AS_IF([test "x$with_fuzzer" != xno],
  [FUZZ_CFLAGS=-fsanitize=fuzzer-no-link
   FUZZ_LDFLAGS=-fsanitize=fuzzer])
AM_CONDITIONAL([FUZZER], [test "x$with_fuzzer" != xno])
AC_SUBST([FUZZ_CFLAGS])
AC_SUBST([FUZZ_LDFLAGS])])

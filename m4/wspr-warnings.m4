dnl Turn on the warnings that the house keeps clean; --enable-werror makes them errors (for CI).
AC_DEFUN([WSPR_WARNINGS],
[AC_ARG_ENABLE([werror],
  [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
  [], [enable_werror=no])
WARN_CFLAGS=-std=gnu11
wspr_save_CFLAGS=$CFLAGS
for wspr_flag in -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter \
  -Wold-style-definition -Wimplicit-fallthrough -fvisibility=hidden; do
  AC_MSG_CHECKING([whether $CC accepts $wspr_flag])
  CFLAGS="$wspr_save_CFLAGS -Werror $wspr_flag"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes])
     WARN_CFLAGS="$WARN_CFLAGS $wspr_flag"],
    [AC_MSG_RESULT([no])])
done
CFLAGS=$wspr_save_CFLAGS
AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
AC_SUBST([WARN_CFLAGS])])

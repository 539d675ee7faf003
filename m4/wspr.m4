# wspr.m4: for projects that build handler plugins for wsprd.                           -*- Autoconf -*-
#
# WSPR_PLUGIN([MINIMUM-VERSION])
#
# Finds the installed wspr and sets, for Makefile.am:
#
#   WSPR_CFLAGS          where the headers are
#   WSPR_PLUGIN_LDFLAGS  for NAME_la_LDFLAGS: a module that exports its entry and nothing else
#   plugindir            where wsprd of that wspr looks for plugins (or --with-plugindir)
#   WSPRD, WSPR          the programs
#
# After AC_PROG_CC and LT_INIT([disable-static]).
AC_DEFUN([WSPR_PLUGIN],
[AC_REQUIRE([PKG_PROG_PKG_CONFIG])
PKG_CHECK_MODULES([WSPR], [wspr m4_if([$1], [], [], [>= $1])])
AC_ARG_WITH([plugindir],
  [AS_HELP_STRING([--with-plugindir=DIR], [where the plugin goes @<:@from wspr.pc@:>@])],
  [plugindir=$withval],
  [PKG_CHECK_VAR([WSPR_PLUGINDIR], [wspr], [plugindir])
   plugindir=$WSPR_PLUGINDIR])
AS_IF([test "x$plugindir" = x], [AC_MSG_ERROR([wspr.pc does not say where plugins go])])
AC_SUBST([plugindir])
PKG_CHECK_VAR([WSPRD], [wspr], [wsprd])
PKG_CHECK_VAR([WSPR], [wspr], [wspr])
PKG_CHECK_VAR([WSPR_ABI], [wspr], [abi])
AC_SUBST([WSPR_PLUGIN_LDFLAGS],
  ["-module -avoid-version -shared -export-symbols-regex '^wspr_plugin_entry\$\$'"])
AC_MSG_CHECKING([whether the headers are those of plugin ABI $WSPR_ABI])
wspr_save_CPPFLAGS=$CPPFLAGS
CPPFLAGS="$CPPFLAGS $WSPR_CFLAGS"
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <wspr/plugin.h>
#define WSPR_TEXT_(a, b) #a "." #b
#define WSPR_TEXT(a, b) WSPR_TEXT_(a, b)]],
    [[char same@<:@sizeof WSPR_TEXT(WSPR_ABI_MAJOR, WSPR_ABI_MINOR) == sizeof "$WSPR_ABI" ? 1 : -1@:>@;
      (void)same;]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([<wspr/plugin.h> does not compile, or is of another wspr than wspr.pc])])
CPPFLAGS=$wspr_save_CPPFLAGS
])

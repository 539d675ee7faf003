dnl Two builds of the same source are the same, wherever and whenever they are made. PATH_CFLAGS keeps the
dnl folders of source and build out of what is compiled; a tarball has its files in order, nobody's name, and the
dnl time that SOURCE_DATE_EPOCH gives. GNU tar knows how; other ones make a tarball as Automake does.
AC_DEFUN([WSPR_REPRODUCIBLE],
[AC_ARG_ENABLE([path-map],
  [AS_HELP_STRING([--disable-path-map],
    [let debugging information name the folders of source and build])],
  [], [enable_path_map=yes])
PATH_CFLAGS=
AS_IF([test "x$enable_path_map" != xno],
  [AC_MSG_CHECKING([whether the compiler maps paths])
   wspr_save_CFLAGS=$CFLAGS
   CFLAGS="$CFLAGS -ffile-prefix-map=/a=b -Werror"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
     [AC_MSG_RESULT([yes])
      PATH_CFLAGS='-ffile-prefix-map=$(abs_builddir)=. -ffile-prefix-map=$(abs_srcdir)=. -ffile-prefix-map=$(srcdir)/='],
     [AC_MSG_RESULT([no])])
   CFLAGS=$wspr_save_CFLAGS])
AC_SUBST([PATH_CFLAGS])
AS_IF([${TAR-tar} --version 2>/dev/null | grep -q 'GNU tar'],
  [am__tar='TAR_OPTIONS="$$TAR_OPTIONS --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w'
   AS_VAR_APPEND([am__tar], [' --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'])
   AS_VAR_APPEND([am__tar], [' $${SOURCE_DATE_EPOCH:+--mtime=@$$SOURCE_DATE_EPOCH}"'])
   AS_VAR_APPEND([am__tar], [' $${TAR-tar} --format=posix -chf - "$$tardir"'])])])

dnl --with-systemd installs the unit of the service and its user. The folders are asked from
dnl pkg-config where it knows them, and can be given as make variables.
AC_DEFUN([WSPR_SYSTEMD],
[AC_ARG_WITH([systemd],
  [AS_HELP_STRING([--with-systemd], [install a systemd unit and a sysusers file])],
  [], [with_systemd=no])
AS_IF([test "x$with_systemd" != xno],
  [PKG_CHECK_VAR([systemdsystemunitdir], [systemd], [systemdsystemunitdir], [],
    [systemdsystemunitdir='${prefix}/lib/systemd/system'])
   PKG_CHECK_VAR([sysusersdir], [systemd], [sysusersdir], [], [sysusersdir='${prefix}/lib/sysusers.d'])])
AM_CONDITIONAL([HAVE_SYSTEMD], [test "x$with_systemd" != xno])])

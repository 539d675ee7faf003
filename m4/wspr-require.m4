dnl WSPR_REQUIRE(VARIABLE, MODULES, DEBIAN-PACKAGE)
dnl Like PKG_CHECK_MODULES, but a missing library is named with the package to install.
AC_DEFUN([WSPR_REQUIRE],
[PKG_CHECK_MODULES([$1], [$2], [],
  [AC_MSG_ERROR([$2 not found; Debian package: $3])])])

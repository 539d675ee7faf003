dnl After each check Autoconf removes a memory dump named "core". Where configure runs in the source
dnl tree, or a second time, that is our folder, and rm complains on every check. This rm leaves it out.
AC_DEFUN([WSPR_CORE_FOLDER],
[rm ()
{
  for wspr_arg
  do
    shift
    if test "x$wspr_arg" != xcore; then
      set x "$[@]" "$wspr_arg"
      shift
    fi
  done
  command rm "$[@]"
}])

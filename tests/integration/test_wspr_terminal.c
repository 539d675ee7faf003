/* wspr on a terminal, and with somebody who never answers. */
#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli_rig.h"
#include "rig.h"
#include "tap.h"

/* A door that opens and nobody is behind it. In `name` its rooted name. */
static int silent_server(char *name, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) < 0)
        return -1;
    snprintf(name, size, "/127.0.0.1:%u//", ntohs(in.sin_port));
    return fd;
}

static void time_outs(void)
{
    char name[64];
    int fd = silent_server(name, sizeof name);

    TAP_IS(fd >= 0);
    EXPECT(4, "", "wspr: no answer within 100 ms (asking ", "", "--timeout", "100ms", "call", name,
           "get", "x");
    EXPECT(4, "", "no answer within 100 ms", "", "signature", name, "--timeout=100ms");
    EXPECT(4, "", "\"status\": 4}}\n", "", "--json", "--timeout=100ms", "signature", name);
    EXPECT(4, NULL, "deadline exceeded", "", "--timeout=100ms", "ping", "-c", "1", "-i", "1ms",
           name);
    close(fd);
}

/* Whether this machine gives out terminals: a bare root without /dev/pts does not. */
static bool has_terminals(void)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);

    if (fd < 0) {
        tap_skip("this machine has no terminals");
        return false;
    }
    close(fd);
    return true;
}

/* It waits before the answer is known: the line that says so comes, and goes. */
static void progress(void)
{
    char name[64];
    int fd = silent_server(name, sizeof name);
    struct tool t;

    TAP_IS(fd >= 0);
    if (!has_terminals()) {
        close(fd);
        return;
    }
    TAP_IS(cli_start(&t, CLI_ARGS("signature", name, "--timeout=0"), TOOL_TTY));
    TAP_IS(tool_wait_out(&t, " asking /127.0.0.1:"));
    TAP_IS(tool_wait_out(&t, "what it offers, 1 s"));
    tool_signal(&t, SIGINT);
    TAP_OK(tool_wait(&t) == 130, "%d", t.status);
    TAP_OK(strstr(tool_out(&t), "\r\033[Kwspr: interrupted\r\n") != NULL, "%s", tool_out(&t));
    tool_done(&t);
    /* Nothing of it for programs. */
    TAP_IS(cli_start(&t, CLI_ARGS("--json", "signature", name, "--timeout=1500ms"), TOOL_TTY));
    TAP_IS(tool_wait(&t) == 4);
    TAP_OK(strncmp(tool_out(&t), "{\"error\": ", 10) == 0, "%s", tool_out(&t));
    tool_done(&t);
    close(fd);
}

static void colors(void)
{
    struct tool t;

    if (!has_terminals())
        return;
    EXPECT(0, "", "", "", "call", cli_rig.direct, "set", "colors", "{\"a\": \"b\"}");
    TAP_IS(cli_start(&t, CLI_ARGS("call", cli_rig.direct, "get", "colors"), TOOL_TTY));
    TAP_IS(tool_end(&t) == 0);
    TAP_OK(strcmp(tool_out(&t), "{\033[1;34m\"a\"\033[0m: \033[32m\"b\"\033[0m}\r\n") == 0, "%s",
           tool_out(&t));
    tool_done(&t);
    TAP_IS(cli_start(&t, CLI_ARGS("--json", "call", cli_rig.direct, "get", "colors"), TOOL_TTY));
    TAP_IS(tool_end(&t) == 0);
    TAP_OK(strcmp(tool_out(&t), "[{\"a\": \"b\"}]\r\n") == 0, "%s", tool_out(&t));
    tool_done(&t);
    cli_rig.no_color = true;
    TAP_IS(cli_start(&t, CLI_ARGS("call", cli_rig.direct, "get", "colors"), TOOL_TTY));
    TAP_IS(tool_end(&t) == 0);
    TAP_OK(strcmp(tool_out(&t), "{\"a\": \"b\"}\r\n") == 0, "%s", tool_out(&t));
    tool_done(&t);
    cli_rig.no_color = false;
}

/* What strangers call themselves does not reach the terminal as it is. */
static void hostile_names(void)
{
    EXPECT(0, "", "", "", "mount", "--ttl", "1h", "evil/\033[31mred", "/127.0.0.1:1//");
    EXPECT(0, "evil/\\x1b[31mred\n", "", "", "glob", "evil/*");
    EXPECT(0, "", "", "", "unmount", "evil/\033[31mred");
    EXPECT(3, "", "cannot resolve \\x1b]0;x\\x07: ", "", "resolve", "\033]0;x\007");
}

static void full_disk(void)
{
    const char *args[] = {"-c", NULL, NULL};
    char program[4200], command[4400];
    struct tool t;
    FILE *f = fopen("/dev/full", "w");

    if (f == NULL) {
        tap_skip("no /dev/full");
        return;
    }
    fclose(f);
    TAP_IS(rig_program(program, sizeof program, "wspr"));
    snprintf(command, sizeof command, "%s --version > /dev/full", program);
    args[1] = command;
    if (tool_start_path(&t, "/bin/sh", args, NULL, 0)) {
        TAP_OK(tool_end(&t) == 6, "%d", t.status);
        TAP_OK(strstr(tool_err(&t), "cannot write the output: No space left") != NULL, "%s",
               tool_err(&t));
    }
    tool_done(&t);
}

static const struct tap_case cases[] = {
    {"time-outs", time_outs},         {"progress", progress},   {"colors", colors},
    {"hostile names", hostile_names}, {"full disk", full_disk},
};

const struct tap_suite cli_terminal_suite = TAP_SUITE("terminal", cases);

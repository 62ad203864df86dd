/* tap: what a unit test in C needs to print TAP for prove. Each test is a program of its own that includes this once.
 *
 *   int main(void) { is_int(1 + 1, 2, "one and one is two"); return done_testing(); }
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TAP_UNUSED __attribute__((unused))
#define TAP_PRINTF(n) __attribute__((unused, format(printf, n, n + 1)))

static int tap_tests, tap_failures;

/* Prints one result line; the name reads as a sentence about the code. */
static bool tap_result(bool passed, const char *name, va_list args)
{
    tap_tests++;
    tap_failures += !passed;
    printf("%sok %d - ", passed ? "" : "not ", tap_tests);
    vprintf(name, args);
    putchar('\n');
    return passed;
}

/* A remark for who reads the log. */
static TAP_PRINTF(1) void note(const char *text, ...)
{
    va_list args;

    va_start(args, text);
    printf("# ");
    vprintf(text, args);
    putchar('\n');
    va_end(args);
}

static TAP_PRINTF(2) bool ok(bool passed, const char *name, ...)
{
    va_list args;

    va_start(args, name);
    tap_result(passed, name, args);
    va_end(args);
    return passed;
}

static TAP_PRINTF(3) bool is_int(long long got, long long want, const char *name, ...)
{
    va_list args;

    va_start(args, name);
    if (!tap_result(got == want, name, args))
        note("got %lld, want %lld", got, want);
    va_end(args);
    return got == want;
}

/* NULL equals NULL only. */
static TAP_PRINTF(3) bool is_str(const char *got, const char *want, const char *name, ...)
{
    const bool same = got && want ? strcmp(got, want) == 0 : got == want;
    va_list args;

    va_start(args, name);
    if (!tap_result(same, name, args))
        note("got \"%s\", want \"%s\"", got ? got : "(null)", want ? want : "(null)");
    va_end(args);
    return same;
}

/* The plan, at the end. Returns what main returns. */
static TAP_UNUSED int done_testing(void)
{
    printf("1..%d\n", tap_tests);
    return tap_failures > 0;
}

#endif

/* replay: runs a fuzz function over the files, and the files in the directories, given as arguments; prints TAP.
 * Stands in for libFuzzer where only gcc is there: link it with one fuzz_*.c. A broken invariant ends the program before its plan.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static int tests, failures;

/* All bytes of a file in memory of exactly that size, which the caller frees; NULL: unreadable. */
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *bytes = NULL;

    if (!file)
        return NULL;
    if (fstat(fileno(file), &st) == 0 && (bytes = malloc(st.st_size > 0 ? (size_t)st.st_size : 1)) != NULL) {
        *size = (size_t)st.st_size;
        if (fread(bytes, 1, *size, file) != *size) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

static void replay_file(const char *path)
{
    size_t size = 0;
    uint8_t *bytes = read_file(path, &size);

    tests++;
    if (bytes)
        LLVMFuzzerTestOneInput(bytes, size);
    else
        failures++;
    printf("%sok %d - %s\n", bytes ? "" : "not ", tests, path);
    fflush(stdout); /* what went before a crash must not get lost */
    free(bytes);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_directory(const char *path)
{
    struct dirent **entries;
    const int n = scandir(path, &entries, is_visible, alphasort);

    for (int i = 0; i < n; i++) {
        char *file;

        if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
            abort();
        replay_file(file);
        free(file);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            replay_directory(argv[i]);
        else
            replay_file(argv[i]);
    }
    if (tests == 0) {
        tests = failures = 1;
        puts("not ok 1 - there is something to replay");
    }
    printf("1..%d\n", tests);
    return failures > 0;
}

/* test_h1_body: the bodies we accept, those we refuse and why; each in one piece, cut in two at every place, and byte by byte.
 *
 * Build: cc -I mod_pooledproxy t/unit/test_h1_body.c mod_pooledproxy/{pp_h1_body,pp_h1_fields,pp_err}.c
 */
#include "pp_h1_body.h"

#include "page.h"
#include "tap.h"

typedef struct vector_t {
    const char *name;
    const char *bytes;
    size_t len;
    const char *want; /* as say() says it */
} vector_t;

#define V(name, bytes, want)                 \
    {                                        \
        name, bytes, sizeof(bytes) - 1, want \
    }

/* "data [trailers] end": the end is "eof" with the bytes behind the message, the reason of a refusal, or what a close means now */
static const vector_t chunked[] = {
    V("the last chunk alone is an empty body", "0\r\n\r\n", "<> eof+0"),
    V("one chunk", "5\r\nhello\r\n0\r\n\r\n", "<hello> eof+0"),
    V("chunks are joined", "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "<hello world> eof+0"),
    V("sizes are hexadecimal, in either case", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "<01234567890123456789> eof+0"),
    V("a size may have leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "<hello> eof+0"),
    V("a size may have 16 digits", "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "<hello> eof+0"),
    V("data may look like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "<\r\n0\r\n\r\n> eof+0"),
    V("the bytes behind the message are left alone", "1\r\nx\r\n0\r\n\r\nHTTP/1.1", "<x> eof+8"),
    V("an extension is passed over", "5;a=b\r\nhello\r\n0;z\r\n\r\n", "<hello> eof+0"),
    V("an extension may have white space before it", "5 \t;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "<hello> eof+0"),
    V("several extensions are passed over", "1 ; a = b ; c\r\nx\r\n0\r\n\r\n", "<x> eof+0"),
    V("a trailer is kept", "1\r\nx\r\n0\r\nDigest:  abc \r\n\r\n", "<x> [Digest=abc] eof+0"),
    V("several trailers are kept", "0\r\nA: 1\r\nB:\r\nC: 3\r\n\r\nrest", "<> [A=1] [B=] [C=3] eof+4"),

    V("a body that has not begun is cut by a close", "", "<> body_cut"),
    V("a close inside the size cuts", "5", "<> body_cut"),
    V("a close inside the data cuts", "5\r\nhel", "<hel> body_cut"),
    V("a close behind a chunk's data cuts", "5\r\nhello", "<hello> body_cut"),
    V("a close between chunks cuts", "5\r\nhello\r\n", "<hello> body_cut"),
    V("a close before the empty line cuts", "5\r\nhello\r\n0\r\n", "<hello> body_cut"),
    V("a close inside the empty line cuts", "5\r\nhello\r\n0\r\n\r", "<hello> body_cut"),
    V("a close inside the trailers cuts", "0\r\nA: 1\r\n", "<> body_cut"),

    V("a size is needed", "\r\nhello\r\n", "<> bad_chunk"),
    V("a size is needed before an extension", ";a=b\r\nhello", "<> bad_chunk"),
    V("a size has no 0x", "0x5\r\nhello\r\n", "<> bad_chunk"),
    V("a size has no plus", "+5\r\nhello\r\n", "<> bad_chunk"),
    V("a size has no minus", "-5\r\nhello\r\n", "<> bad_chunk"),
    V("a size may not follow a space", " 5\r\nhello\r\n", "<> bad_chunk"),
    V("a size may not be padded", "5 \r\nhello\r\n", "<> bad_chunk"),
    V("a size may not be quoted", "\"5\"\r\nhello\r\n", "<> bad_chunk"),
    V("a size is hexadecimal", "g\r\n", "<> bad_chunk"),
    V("a size of 17 digits is too long", "00000000000000005\r\nhello\r\n", "<> bad_chunk"),
    V("a size of 2^63 is too large", "8000000000000000\r\nhello", "<> bad_chunk"),
    V("a size of 2^64 + 5 does not wrap to 5", "10000000000000005\r\nhello\r\n", "<> bad_chunk"),
    V("a size ends with CRLF, not LF", "5\nhello\r\n", "<> bad_chunk"),
    V("a size ends with CRLF, not CR", "5\rhello\r\n", "<> bad_chunk"),
    V("NUL may not follow a size", "5\0\r\nhello\r\n", "<> bad_chunk"),
    V("LF does not end an extension", "5;a\nhello\r\n", "<> bad_chunk"),
    V("CR may not be inside an extension", "5;a\rb\r\nhello\r\n", "<> bad_chunk"),
    V("NUL may not be inside an extension", "5;a\0b\r\nhello\r\n", "<> bad_chunk"),
    V("an extension may not hold a control character", "5;a\x01\r\nhello\r\n", "<> bad_chunk"),
    V("an extension needs its semicolon", "5 a\r\nhello\r\n", "<> bad_chunk"),
    V("data longer than its size is refused", "4\r\nhello\r\n0\r\n\r\n", "<hell> bad_chunk"),
    V("data ends with CRLF, not LF", "5\r\nhello\n0\r\n\r\n", "<hello> bad_chunk"),
    V("data ends with CRLF, not CR", "5\r\nhello\r0\r\n\r\n", "<hello> bad_chunk"),
    V("no byte stands for the CR behind data", "5\r\nhello \n0\r\n\r\n", "<hello> bad_chunk"),
    V("no byte stands for the LF behind data", "5\r\nhello\r 0\r\n\r\n", "<hello> bad_chunk"),
    V("the last chunk ends with CRLF too", "0\n\r\n", "<> bad_chunk"),

    V("the empty line is CRLF, not LF", "0\r\n\n", "<> bad_trailer"),
    V("the empty line is CRLF, not CR", "0\r\n\rX", "<> bad_trailer"),
    V("a trailer needs a name", "0\r\n: x\r\n\r\n", "<> bad_trailer"),
    V("a trailer needs a colon", "0\r\nHTTP/1.1 200 OK\r\n\r\n", "<> bad_trailer"),
    V("a trailer has no space before the colon", "0\r\nA : x\r\n\r\n", "<> bad_trailer"),
    V("a trailer may not be folded", "0\r\nA: x\r\n y\r\n\r\n", "<> bad_trailer"),
    V("a trailer ends with CRLF, not LF", "0\r\nA: x\n\r\n", "<> bad_trailer"),
    V("a trailer may not hold CR", "0\r\nA: x\ry\r\n\r\n", "<> bad_trailer"),
    V("a trailer may not hold NUL", "0\r\nA: x\0y\r\n\r\n", "<> bad_trailer"),
    V("the line behind the trailers is CRLF, not LF", "0\r\nA: x\r\n\n", "<> bad_trailer"),
};

/* What came out so far, in words. */
typedef struct words_t {
    char text[1024];
    size_t len;
} words_t;

static void add(words_t *words, const char *bytes, size_t len)
{
    if (words->len + len >= sizeof(words->text))
        abort();
    memcpy(words->text + words->len, bytes, len);
    words->len += len;
    words->text[words->len] = '\0';
}

static void add_str(words_t *words, const char *s)
{
    add(words, s, strlen(s));
}

/* Feeds one piece, held in front of a forbidden page. The number of its bytes the body did not want, when it ended in it: APR_EOF. */
static apr_status_t feed(pp_h1_body_t *body, const char *bytes, size_t len, words_t *words, size_t *left, pp_err_t *err)
{
    const char *in = page_put(bytes, len), *data;
    size_t used, data_len;
    apr_status_t rv;

    do {
        rv = pp_h1_body_decode(body, in, len, &used, &data, &data_len, err);
        if (rv == APR_EINVAL)
            return rv;
        if (used > len || (data_len > 0 && (data < in || data + data_len > in + used)))
            abort();
        add(words, data, data_len);
        in += used;
        len -= used;
    } while (rv == APR_SUCCESS && len > 0);
    *left = len;
    return rv;
}

static void add_trailers(words_t *words, const pp_h1_body_t *body)
{
    pp_field_t fields[PP_H1_TRAILER_FIELDS_MAX];
    const uint32_t n = pp_h1_body_trailers(body, fields, PP_H1_TRAILER_FIELDS_MAX);

    for (uint32_t i = 0; i < n; i++) {
        add_str(words, " [");
        add(words, fields[i].name, fields[i].name_len);
        add_str(words, "=");
        add(words, fields[i].value, fields[i].value_len);
        add_str(words, "]");
    }
}

/* What a body makes of bytes[0 .. len) that come in pieces: a first one of `first` bytes, then of `step` bytes. */
static const char *say(const pp_h1_response_t *resp, const char *bytes, size_t len, size_t first, size_t step)
{
    static words_t words;
    pp_h1_body_t body;
    size_t left = 0, at = 0, piece = first;
    pp_err_t err = PP_OK;
    apr_status_t rv = APR_SUCCESS;
    char eof[32];

    words = (words_t){.len = 0};
    pp_h1_body_init(&body, resp);
    add_str(&words, "<");
    do {
        if (piece > len - at)
            piece = len - at;
        rv = feed(&body, bytes + at, piece, &words, &left, &err);
        at += piece;
        piece = step;
    } while (rv == APR_SUCCESS && at < len);
    add_str(&words, ">");
    add_trailers(&words, &body);
    snprintf(eof, sizeof(eof), " eof+%zu", left + len - at);
    if (rv == APR_SUCCESS && pp_h1_body_at_close(&body) == PP_OK)
        snprintf(eof, sizeof(eof), " closed");
    else if (rv != APR_EOF)
        snprintf(eof, sizeof(eof), " %s", pp_err_row(rv == APR_SUCCESS ? pp_h1_body_at_close(&body) : err)->name);
    add_str(&words, eof);
    pp_h1_body_clear(&body);
    pp_h1_body_clear(&body);
    return words.text;
}

/* Whole, cut in two at every place, and in pieces of every size down to one byte: always the same. */
static void check(const char *name, const pp_h1_response_t *resp, const char *bytes, size_t len, const char *want)
{
    size_t cut = 0, step = 1;

    is_str(say(resp, bytes, len, len, len), want, "%s", name);
    while (cut <= len && strcmp(say(resp, bytes, len, cut, len), want) == 0)
        cut++;
    while (step <= len && strcmp(say(resp, bytes, len, step, step), want) == 0)
        step++;
    ok(cut > len && step > len, "... however it is cut");
}

static void bodies_in_chunks(void)
{
    const pp_h1_response_t resp = {.framing = PP_FRAMING_CHUNKED, .content_length = -1};

    for (size_t i = 0; i < sizeof(chunked) / sizeof(*chunked); i++)
        check(chunked[i].name, &resp, chunked[i].bytes, chunked[i].len, chunked[i].want);
}

/* What is complete is not complete any earlier: a body cut short is never taken for a whole one. */
static void bodies_cut_short_are_not_taken_for_whole(void)
{
    const pp_h1_response_t resp = {.framing = PP_FRAMING_CHUNKED, .content_length = -1};
    static const char whole[] = "5;x\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nA: 1\r\nB: 2\r\n\r\n";
    size_t n = 0;

    while (n < sizeof(whole) - 1 && strstr(say(&resp, whole, n, n, n), "> body_cut"))
        n++;
    is_int((long long)n, sizeof(whole) - 1, "a chunked body is over at its last byte, not before");
}

static void bodies_with_a_length(void)
{
    const pp_h1_response_t five = {.framing = PP_FRAMING_LENGTH, .content_length = 5};
    const pp_h1_response_t zero = {.framing = PP_FRAMING_LENGTH, .content_length = 0};
    const pp_h1_response_t most = {.framing = PP_FRAMING_LENGTH, .content_length = INT64_MAX};

    check("a length takes that many bytes", &five, "hello", 5, "<hello> eof+0");
    check("the bytes behind a length are left alone", &five, "helloHTTP/", 10, "<hello> eof+5");
    check("a close before the length is reached cuts", &five, "hell", 4, "<hell> body_cut");
    check("a length without any byte is cut", &five, "", 0, "<> body_cut");
    check("a length of zero is over at once", &zero, "", 0, "<> eof+0");
    check("a length of zero takes nothing", &zero, "x", 1, "<> eof+1");
    check("the largest length counts", &most, "hello", 5, "<hello> body_cut");
}

static void bodies_of_the_other_kinds(void)
{
    const pp_h1_response_t none = {.framing = PP_FRAMING_NONE, .content_length = 5};
    const pp_h1_response_t closed = {.framing = PP_FRAMING_CLOSE, .content_length = -1};
    const pp_h1_response_t tunnel = {.framing = PP_FRAMING_TUNNEL, .content_length = -1};

    check("no body is over at once", &none, "", 0, "<> eof+0");
    check("no body takes nothing, whatever length was given", &none, "hello", 5, "<> eof+5");
    check("until close all is data", &closed, "0\r\n\r\n", 5, "<0\r\n\r\n> closed");
    check("until close may be empty", &closed, "", 0, "<> closed");
    check("in a tunnel all is data", &tunnel, "\x81\x05hello", 7, "<\x81\x05hello> closed");
}

static void nothing_may_be_given(void)
{
    const pp_h1_response_t zero = {.framing = PP_FRAMING_LENGTH, .content_length = 0};
    const pp_h1_response_t chunks = {.framing = PP_FRAMING_CHUNKED, .content_length = -1};
    pp_h1_body_t body;
    const char *data;
    size_t used = 1, data_len = 1;
    pp_err_t err;

    pp_h1_body_init(&body, &zero);
    is_int(pp_h1_body_decode(&body, NULL, 0, &used, &data, &data_len, &err), APR_EOF,
           "whether a body is empty can be asked without bytes");
    pp_h1_body_init(&body, &chunks);
    is_int(pp_h1_body_decode(&body, NULL, 0, &used, &data, &data_len, &err), APR_SUCCESS, "chunks without bytes have more to come");
    ok(used == 0 && data_len == 0, "... and nothing was found");
}

/* "5;<n times x>\r\nhello\r\n0\r\n\r\n": how a chunk's line of that length ends. */
static const char *end_with_line_of(size_t line)
{
    const pp_h1_response_t resp = {.framing = PP_FRAMING_CHUNKED, .content_length = -1};
    static char bytes[PP_H1_CHUNK_LINE_MAX + 100];
    char *p = mempcpy(bytes, "5;", 2);

    p = (char *)memset(p, 'x', line - 4) + line - 4;
    p = mempcpy(p, "\r\nhello\r\n0\r\n\r\n", 14);
    return say(&resp, bytes, (size_t)(p - bytes), 1, 100);
}

/* How a trailer section of `fields` fields ends, the first of which has `value` bytes of value: its name, its CRLF and the empty line make 6 more. */
static const char *end_with_trailers(size_t fields, size_t value)
{
    const pp_h1_response_t resp = {.framing = PP_FRAMING_CHUNKED, .content_length = -1};
    static char bytes[PP_H1_TRAILER_MAX + 100];
    char *p = mempcpy(bytes, "0\r\n", 3);
    words_t words = {.len = 0};
    pp_h1_body_t body;
    size_t left;
    pp_err_t err = PP_OK;
    apr_status_t rv;

    for (; fields > 0; fields--, value = 0) {
        p = mempcpy(p, "T:", 2);
        p = (char *)memset(p, 'v', value) + value;
        p = mempcpy(p, "\r\n", 2);
    }
    p = mempcpy(p, "\r\n", 2);
    pp_h1_body_init(&body, &resp);
    rv = feed(&body, bytes, (size_t)(p - bytes), &words, &left, &err);
    pp_h1_body_clear(&body);
    return rv == APR_EOF ? "eof" : pp_err_row(err)->name;
}

static void bodies_have_limits(void)
{
    is_str(end_with_line_of(PP_H1_CHUNK_LINE_MAX), "<hello> eof+0", "a chunk's line may be as long as allowed");
    is_str(end_with_line_of(PP_H1_CHUNK_LINE_MAX + 1), "<> bad_chunk", "one byte more is too long");
    is_str(end_with_trailers(PP_H1_TRAILER_FIELDS_MAX, 0), "eof", "32 trailers are accepted");
    is_str(end_with_trailers(PP_H1_TRAILER_FIELDS_MAX + 1, 0), "bad_trailer", "33 trailers are too many");
    is_str(end_with_trailers(1, PP_H1_TRAILER_MAX - 6), "eof", "a trailer section may be as large as allowed");
    is_str(end_with_trailers(1, PP_H1_TRAILER_MAX - 5), "bad_trailer", "one byte more is too large");
}

static void trailers_are_handed_out_when_all_are_there(void)
{
    const pp_h1_response_t resp = {.framing = PP_FRAMING_CHUNKED, .content_length = -1};
    words_t words = {.len = 0};
    pp_field_t fields[2];
    pp_h1_body_t body;
    size_t left;
    pp_err_t err;

    pp_h1_body_init(&body, &resp);
    feed(&body, "0\r\nA: 1\r\nB: 2\r\nC: 3\r\n", 21, &words, &left, &err);
    is_int(pp_h1_body_trailers(&body, fields, 2), 0, "no trailer is handed out before the end");
    feed(&body, "\r\n", 2, &words, &left, &err);
    is_int(pp_h1_body_trailers(&body, fields, 2), 2, "... then as many as there is room for");
    ok(fields[1].name_len == 1 && *fields[1].name == 'B' && *fields[1].value == '2', "... in their order");
    pp_h1_body_clear(&body);
    is_int(pp_h1_body_trailers(&body, fields, 2), 0, "... and none after clear");
}

/* The head of a chunk of that size, as a string. */
static const char *head_of(size_t size)
{
    static char head[PP_H1_CHUNK_HEAD_MAX + 1];

    head[pp_h1_chunk_head(head, size)] = '\0';
    return head;
}

static void chunks_are_written(void)
{
    is_str(head_of(1), "1\r\n", "a chunk of one byte");
    is_str(head_of(500), "1f4\r\n", "a chunk of 500 bytes");
    is_str(head_of(65536), "10000\r\n", "a chunk of 64 KB");
    is_str(head_of(SIZE_MAX), sizeof(size_t) == 8 ? "ffffffffffffffff\r\n" : "ffffffff\r\n", "the largest size fits");
}

int main(void)
{
    bodies_in_chunks();
    bodies_cut_short_are_not_taken_for_whole();
    bodies_with_a_length();
    bodies_of_the_other_kinds();
    nothing_may_be_given();
    bodies_have_limits();
    trailers_are_handed_out_when_all_are_there();
    chunks_are_written();
    return done_testing();
}

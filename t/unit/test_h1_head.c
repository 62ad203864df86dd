/* test_h1_head: the heads we accept and what is read from them, and those we refuse and why.
 *
 * Build: cc -I mod_pooledproxy t/unit/test_h1_head.c mod_pooledproxy/{pp_h1_head,pp_h1_fields,pp_err}.c
 */
#include "pp_h1_head.h"

#include "page.h"
#include "tap.h"

#define PLAIN PP_H1_REQUEST_PLAIN
#define HEAD PP_H1_REQUEST_HEAD
#define UPGRADE PP_H1_REQUEST_UPGRADE

typedef struct vector_t {
    const char *name;
    pp_h1_request_kind_t kind;
    const char *bytes;
    size_t len;
    const char *want; /* as say() says it, or the reason of the refusal */
} vector_t;

#define V(name, kind, bytes, want)                 \
    {                                              \
        name, kind, bytes, sizeof(bytes) - 1, want \
    }
#define OK11 "HTTP/1.1 200 OK\r\n"

/* "status framing:length keep|close nfields" */
static const vector_t accepted[] = {
    V("a head without fields is read until close", PLAIN, OK11 "\r\n", "200 close:-1 close 0"),
    V("Content-Length frames the body", PLAIN, OK11 "Content-Length: 5\r\n\r\n", "200 length:5 keep 1"),
    V("a length of zero is a length", PLAIN, OK11 "Content-Length: 0\r\n\r\n", "200 length:0 keep 1"),
    V("the largest length fits", PLAIN, OK11 "Content-Length: 9223372036854775807\r\n\r\n",
      "200 length:9223372036854775807 keep 1"),
    V("leading zeros are digits", PLAIN, OK11 "Content-Length: 00000000000000000000000012\r\n\r\n", "200 length:12 keep 1"),
    V("field names have no case", PLAIN, OK11 "cONTENT-lENGTH: 7\r\n\r\n", "200 length:7 keep 1"),
    V("names that differ in the last letter are others", PLAIN,
      OK11 "Content-Lengtx: 7\r\nConnectiox: close\r\nTransfer-Encodinx: chunked\r\n\r\n", "200 close:-1 close 3"),
    V("white space around a value does not count", PLAIN, OK11 "Content-Length:\t 7 \t \r\n\r\n", "200 length:7 keep 1"),
    V("a value needs no space before it", PLAIN, OK11 "Content-Length:7\r\n\r\n", "200 length:7 keep 1"),
    V("chunked frames the body", PLAIN, OK11 "Transfer-Encoding: chunked\r\n\r\n", "200 chunked:-1 keep 1"),
    V("chunked has no case", PLAIN, OK11 "transfer-encoding: Chunked\r\n\r\n", "200 chunked:-1 keep 1"),
    V("a reason phrase may be missing with its space", PLAIN, "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", "200 length:1 keep 1"),
    V("a reason phrase may be empty", PLAIN, "HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\n", "404 length:1 keep 1"),
    V("a reason phrase may hold spaces, HTAB and obs-text", PLAIN, "HTTP/1.1 404 nicht\tgefunden \xfc!\r\n\r\n",
      "404 close:-1 close 0"),
    V("a later minor version counts as HTTP/1.1", PLAIN, "HTTP/1.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "200 chunked:-1 keep 1"),
    V("599 is the last status", PLAIN, "HTTP/1.1 599 x\r\nContent-Length: 1\r\n\r\n", "599 length:1 keep 1"),
    V("an empty value is a value", PLAIN, OK11 "X-Empty:\r\nX-Blank:   \r\nContent-Length: 1\r\n\r\n", "200 length:1 keep 3"),
    V("values may hold HTAB and obs-text", PLAIN, OK11 "X: a\tb \xe4\xff c\r\nContent-Length: 1\r\n\r\n", "200 length:1 keep 2"),
    V("every token character may be in a name", PLAIN, OK11 "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", "200 close:-1 close 1"),
    V("what follows the head is not looked at", PLAIN, OK11 "Content-Length: 1\r\n\r\n\r\0\n HTTP", "200 length:1 keep 1"),

    V("Connection: close ends the connection", PLAIN, OK11 "Connection: close\r\nContent-Length: 1\r\n\r\n",
      "200 length:1 close 2"),
    V("close is found in a list", PLAIN, OK11 "Connection: Foo , CLOSE,bar\r\nContent-Length: 1\r\n\r\n", "200 length:1 close 2"),
    V("close is found in a second Connection field", PLAIN, OK11 "Connection: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n",
      "200 length:1 close 3"),
    V("close outweighs keep-alive", PLAIN, OK11 "Connection: keep-alive, close\r\nContent-Length: 1\r\n\r\n",
      "200 length:1 close 2"),
    V("a word that only begins with close is another word", PLAIN, OK11 "Connection: closed\r\nContent-Length: 1\r\n\r\n",
      "200 length:1 keep 2"),
    V("HTTP/1.0 closes", PLAIN, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", "200 length:1 close 1"),
    V("HTTP/1.0 keeps alive when it says so", PLAIN, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n",
      "200 length:1 keep 2"),
    V("HTTP/1.0 does not keep alive for a word that is nearly right", PLAIN,
      "HTTP/1.0 200 OK\r\nConnection: keep-alivx\r\nContent-Length: 1\r\n\r\n", "200 length:1 close 2"),
    V("HTTP/1.0 finds keep-alive in a list", PLAIN, "HTTP/1.0 200 OK\r\nConnection: x, keep-alive\r\nContent-Length: 1\r\n\r\n",
      "200 length:1 keep 2"),
    V("HTTP/1.0 cannot keep alive what ends by close", PLAIN, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
      "200 close:-1 close 1"),

    V("an answer to HEAD has no body", HEAD, OK11 "Content-Length: 5\r\n\r\n", "200 none:5 keep 1"),
    V("a chunked answer to HEAD has no body", HEAD, OK11 "Transfer-Encoding: chunked\r\n\r\n", "200 none:-1 keep 1"),
    V("an answer to HEAD without a length has no body", HEAD, OK11 "\r\n", "200 none:-1 keep 0"),
    V("204 has no body", PLAIN, "HTTP/1.1 204 No Content\r\n\r\n", "204 none:-1 keep 0"),
    V("304 has no body", PLAIN, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 none:5 keep 1"),
    V("100 has no body", PLAIN, "HTTP/1.1 100 Continue\r\n\r\n", "100 none:-1 keep 0"),
    V("103 has no body", UPGRADE, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "103 none:-1 keep 1"),
    V("204 with a length of zero is harmless", PLAIN, "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", "204 none:0 keep 1"),
    V("204 that announces a body has none, but its connection ends", PLAIN, "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
      "204 none:5 close 1"),
    V("204 that announces chunks has none, but its connection ends", PLAIN, "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
      "204 none:-1 close 1"),
    V("101 that was asked for is a tunnel", UPGRADE, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
      "101 tunnel:-1 close 2"),
    V("an upgrade may be turned down", UPGRADE, OK11 "Content-Length: 5\r\n\r\n", "200 length:5 keep 1"),
};

static const vector_t refused[] = {
    V("HTTP/2 is no answer", PLAIN, "HTTP/2 200 OK\r\n\r\n", "bad_status_line"),
    V("HTTP/0.9 is no answer", PLAIN, "<html>hello</html>", "bad_status_line"),
    V("a version needs a minor digit", PLAIN, "HTTP/1 200 OK\r\n\r\n", "bad_status_line"),
    V("a minor version has one digit", PLAIN, "HTTP/1.11 200 OK\r\n\r\n", "bad_status_line"),
    V("the protocol's name has case", PLAIN, "http/1.1 200 OK\r\n\r\n", "bad_status_line"),
    V("no empty line may come first", PLAIN, "\r\n" OK11 "\r\n", "bad_status_line"),
    V("no space may come first", PLAIN, " " OK11 "\r\n", "bad_status_line"),
    V("an HTTP/2 SETTINGS frame is no answer", PLAIN, "\0\0\0\4\0\0\0\0\0", "bad_status_line"),
    V("two spaces before the status are one too many", PLAIN, "HTTP/1.1  200 OK\r\n\r\n", "bad_status_line"),
    V("HTAB is no space", PLAIN, "HTTP/1.1\t200 OK\r\n\r\n", "bad_status_line"),
    V("a status is needed", PLAIN, "HTTP/1.1 \r\n\r\n", "bad_status_line"),
    V("a status has three digits, not two", PLAIN, "HTTP/1.1 20 OK\r\n\r\n", "bad_status_line"),
    V("a status has three digits, not four", PLAIN, "HTTP/1.1 2000 OK\r\n\r\n", "bad_status_line"),
    V("a status has no sign", PLAIN, "HTTP/1.1 +20 OK\r\n\r\n", "bad_status_line"),
    V("there is no status 099", PLAIN, "HTTP/1.1 099 OK\r\n\r\n", "bad_status_line"),
    V("there is no status 600", PLAIN, "HTTP/1.1 600 OK\r\n\r\n", "bad_status_line"),
    V("a control character may not be in a reason", PLAIN, "HTTP/1.1 200 O\x01K\r\n\r\n", "bad_status_line"),
    V("101 needs a request to upgrade", PLAIN, "HTTP/1.1 101 Switching\r\n\r\n", "unexpected_upgrade"),
    V("101 does not answer HEAD", HEAD, "HTTP/1.1 101 Switching\r\n\r\n", "unexpected_upgrade"),

    V("a status line ends with CRLF, not LF", PLAIN, "HTTP/1.1 200 OK\nX: y\r\n\r\n", "bad_line_end"),
    V("a status line ends with CRLF, not CR", PLAIN, "HTTP/1.1 200 OK\rX: y\r\n\r\n", "bad_line_end"),
    V("a status line without a reason ends with CRLF too", PLAIN, "HTTP/1.1 200\nX: y\r\n\r\n", "bad_line_end"),
    V("NUL may not be in a reason", PLAIN, "HTTP/1.1 200 O\0K\r\n\r\n", "bad_line_end"),
    V("a field ends with CRLF, not LF", PLAIN, OK11 "X: y\nZ: z\r\n\r\n", "bad_line_end"),
    V("a bare CR may not be in a value", PLAIN, OK11 "X: y\rZ: z\r\n\r\n", "bad_line_end"),
    V("CR CR LF is no line end", PLAIN, OK11 "X: y\r\r\n\r\n", "bad_line_end"),
    V("NUL may not be in a value", PLAIN, OK11 "X: 0123456789\0abcdef\r\n\r\n", "bad_line_end"),
    V("NUL may not be in a name", PLAIN, OK11 "X\0Y: z\r\n\r\n", "bad_line_end"),
    V("a bare LF may not be in a name", PLAIN, OK11 "X\nY: z\r\n\r\n", "bad_line_end"),
    V("a bare CR may not be in a name", PLAIN, OK11 "X\rY: z\r\n\r\n", "bad_line_end"),
    V("the empty line is CRLF, not LF", PLAIN, OK11 "X: y\r\n\n", "bad_line_end"),
    V("the empty line is CRLF, not CR", PLAIN, OK11 "X: y\r\n\rbody", "bad_line_end"),

    V("no white space may be before the colon", PLAIN, OK11 "Content-Length : 5\r\n\r\n", "bad_header"),
    V("no HTAB may be before the colon", PLAIN, OK11 "Transfer-Encoding\t: chunked\r\n\r\n", "bad_header"),
    V("a name may not be empty", PLAIN, OK11 ": x\r\n\r\n", "bad_header"),
    V("a line needs a colon", PLAIN, OK11 "nonsense\r\n\r\n", "bad_header"),
    V("a name may not hold a space", PLAIN, OK11 "X Y: z\r\n\r\n", "bad_header"),
    V("a name may not be quoted", PLAIN, OK11 "\"X\": z\r\n\r\n", "bad_header"),
    V("a name may not hold obs-text", PLAIN, OK11 "X\xe4: z\r\n\r\n", "bad_header"),
    V("a name may not hold DEL", PLAIN, OK11 "X\x7f: z\r\n\r\n", "bad_header"),
    V("a value may not hold a control character", PLAIN, OK11 "X: 01234567\x08\r\n\r\n", "bad_header"),
    V("a value may not hold ESC early in a long run", PLAIN,
      OK11 "X: 0\x1b"
           "234567890123456789\r\n\r\n",
      "bad_header"),
    V("a value may not hold DEL", PLAIN,
      OK11 "X: 0123456789\x7f"
           "0123\r\n\r\n",
      "bad_header"),
    V("a folded line is refused", PLAIN, OK11 "X: y\r\n z\r\n\r\n", "obs_fold"),
    V("a line folded with HTAB is refused", PLAIN, OK11 "X: y\r\n\tz\r\n\r\n", "obs_fold"),
    V("a first line that begins with a space is refused", PLAIN, OK11 " X: y\r\n\r\n", "obs_fold"),

    V("two lengths that differ are refused", PLAIN, OK11 "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "bad_content_length"),
    V("two lengths that agree are refused", PLAIN, OK11 "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "bad_content_length"),
    V("a list of lengths is refused", PLAIN, OK11 "Content-Length: 5, 5\r\n\r\n", "bad_content_length"),
    V("a length has no plus", PLAIN, OK11 "Content-Length: +5\r\n\r\n", "bad_content_length"),
    V("a length has no minus", PLAIN, OK11 "Content-Length: -5\r\n\r\n", "bad_content_length"),
    V("a length has no space inside", PLAIN, OK11 "Content-Length: 5 5\r\n\r\n", "bad_content_length"),
    V("a length is not hexadecimal", PLAIN, OK11 "Content-Length: 0x5\r\n\r\n", "bad_content_length"),
    V("a length has no fraction", PLAIN, OK11 "Content-Length: 5.0\r\n\r\n", "bad_content_length"),
    V("a length may not be empty", PLAIN, OK11 "Content-Length:\r\n\r\n", "bad_content_length"),
    V("a length of 2^63 is too large", PLAIN, OK11 "Content-Length: 9223372036854775808\r\n\r\n", "bad_content_length"),
    V("a length of 2^64 + 5 does not wrap to 5", PLAIN, OK11 "Content-Length: 18446744073709551621\r\n\r\n", "bad_content_length"),
    V("a malformed length is refused in an answer to HEAD", HEAD, OK11 "Content-Length: x\r\n\r\n", "bad_content_length"),
    V("a malformed length is refused in 204", PLAIN, "HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n", "bad_content_length"),

    V("a length before chunked is refused", PLAIN, OK11 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "bad_transfer_encoding"),
    V("a length after chunked is refused", PLAIN, OK11 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
      "bad_transfer_encoding"),
    V("chunked twice is refused", PLAIN, OK11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      "bad_transfer_encoding"),
    V("chunked twice in a list is refused", PLAIN, OK11 "Transfer-Encoding: chunked, chunked\r\n\r\n", "bad_transfer_encoding"),
    V("gzip before chunked is refused", PLAIN, OK11 "Transfer-Encoding: gzip, chunked\r\n\r\n", "bad_transfer_encoding"),
    V("identity is refused", PLAIN, OK11 "Transfer-Encoding: identity\r\n\r\n", "bad_transfer_encoding"),
    V("an empty coding is refused", PLAIN, OK11 "Transfer-Encoding:\r\n\r\n", "bad_transfer_encoding"),
    V("a coding that only begins with chunked is refused", PLAIN, OK11 "Transfer-Encoding: chunkedx\r\n\r\n",
      "bad_transfer_encoding"),
    V("chunked with a parameter is refused", PLAIN, OK11 "Transfer-Encoding: chunked;q=1\r\n\r\n", "bad_transfer_encoding"),
    V("vertical tab does not hide chunked", PLAIN,
      OK11 "Transfer-Encoding:\x0b"
           "chunked\r\n\r\n",
      "bad_header"),
    V("HTTP/1.0 has no transfer codings", PLAIN, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_transfer_encoding"),
    V("a foreign coding is refused in 204", PLAIN, "HTTP/1.1 204 x\r\nTransfer-Encoding: gzip\r\n\r\n", "bad_transfer_encoding"),
};

/* What a parser makes of bytes[0 .. len), in words. */
static const char *say(const char *bytes, size_t len, pp_h1_request_kind_t kind)
{
    static const char *framings[] = {"none", "length", "chunked", "close", "tunnel"};
    static char words[80];
    pp_h1_response_t resp;
    size_t head_len = 0;
    pp_err_t err = PP_OK;
    apr_status_t rv = pp_h1_head_parse(page_put(bytes, len), len, kind, &resp, &head_len, &err);

    if (rv == APR_EAGAIN)
        return "incomplete";
    if (rv != APR_SUCCESS)
        return pp_err_row(err)->name;
    snprintf(words, sizeof(words), "%d %s:%lld %s %u", resp.status, framings[resp.framing], (long long)resp.content_length,
             resp.keep_alive ? "keep" : "close", resp.nfields);
    return words;
}

/* The bytes of a vector that are its head; all of them when there is no empty line. */
static size_t length_of_head(const vector_t *v)
{
    const char *empty = memmem(v->bytes, v->len, "\r\n\r\n", 4);

    return empty ? (size_t)(empty - v->bytes) + 4 : v->len;
}

static void heads_that_are_accepted(void)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        const vector_t *v = &accepted[i];
        size_t waits = 0, head = length_of_head(v);

        is_str(say(v->bytes, v->len, v->kind), v->want, "%s", v->name);
        while (waits < head && strcmp(say(v->bytes, waits, v->kind), "incomplete") == 0)
            waits++;
        is_int((long long)waits, (long long)head, "... and every shorter piece of it is incomplete");
    }
}

/* A cut piece is incomplete up to the byte that shows the mistake, and refused for the same reason from there on. */
static void heads_that_are_refused(void)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        const vector_t *v = &refused[i];
        size_t n = 0;

        is_str(say(v->bytes, v->len, v->kind), v->want, "%s", v->name);
        while (n < v->len && strcmp(say(v->bytes, n, v->kind), "incomplete") == 0)
            n++;
        while (n < v->len && strcmp(say(v->bytes, n, v->kind), v->want) == 0)
            n++;
        is_int((long long)n, (long long)v->len, "... and a shorter piece of it is incomplete or refused for the same reason");
    }
}

static void garbage_is_refused_at_its_first_byte(void)
{
    is_str(say("S", 1, PLAIN), "bad_status_line", "one wrong byte is enough to refuse");
    is_str(say("HTTP/2", 6, PLAIN), "bad_status_line", "... also within the version");
    is_str(say("HTTP/1.1 6", 10, PLAIN), "bad_status_line", "... and within the status");
    is_str(say("HTTP/1.1 101", 12, PLAIN), "unexpected_upgrade", "an upgrade nobody asked for needs no further byte");
    is_str(say("", 0, PLAIN), "incomplete", "nothing is incomplete");
}

static void slices_are_exact(void)
{
    static const char bytes[] =
        "HTTP/1.1 404 Not Found\r\nServer:  x y \t\r\nX-Empty: \r\nServer: z\r\nContent-Length: 3\r\n\r\nabc";
    pp_h1_response_t resp;
    const pp_field_t *f;
    size_t head_len;
    pp_err_t err;

    is_int(pp_h1_head_parse(bytes, sizeof(bytes) - 1, PLAIN, &resp, &head_len, &err), APR_SUCCESS,
           "a head with a body behind it is read");
    is_int((long long)head_len, sizeof(bytes) - 1 - 3, "... and ends where the body begins");
    ok(resp.reason_len == 9 && !memcmp(resp.reason, "Not Found", 9), "... its reason is known");
    f = pp_h1_field_find(&resp, "sERVER");
    ok(f && f == &resp.fields[0] && f->name_len == 6 && !memcmp(f->name, "Server", 6),
       "a field is found by name without case, the first one");
    ok(f && f->value_len == 3 && !memcmp(f->value, "x y", 3), "... with its value trimmed");
    f = pp_h1_field_find(&resp, "X-Empty");
    ok(f && f->value_len == 0, "an empty field is found, empty");
    ok(!pp_h1_field_find(&resp, "Serve"), "a shorter name is another name");
}

/* A head of `n` fields of `value_len` bytes of value each; returns its length. */
static size_t make_head(char *to, size_t n, size_t value_len)
{
    char *p = to + sprintf(to, OK11);

    while (n-- > 0) {
        p = mempcpy(p, "X: ", 3);
        p = (char *)memset(p, 'v', value_len) + value_len;
        p = mempcpy(p, "\r\n", 2);
    }
    return (size_t)((char *)mempcpy(p, "\r\n", 2) - to);
}

static void heads_have_limits(void)
{
    static char big[PP_H1_HEAD_MAX * 4];
    const size_t around = make_head(big, 1, 0);
    size_t len = make_head(big, PP_H1_FIELDS_MAX, 1);

    is_str(say(big, len, PLAIN), "200 close:-1 close 200", "200 fields are accepted");
    len = make_head(big, PP_H1_FIELDS_MAX + 1, 1);
    is_str(say(big, len, PLAIN), "head_too_large", "201 fields are too many");
    len = make_head(big, 1, PP_H1_HEAD_MAX - around);
    is_int((long long)len, PP_H1_HEAD_MAX, "a head can be exactly as large as allowed");
    is_str(say(big, len, PLAIN), "200 close:-1 close 1", "... and is accepted");
    is_str(say(big, len + 100, PLAIN), "200 close:-1 close 1", "... with a body behind it too");
    is_str(say(big, len - 1, PLAIN), "incomplete", "... and waited for up to its last byte");
    len = make_head(big, 1, PP_H1_HEAD_MAX - around + 1);
    is_str(say(big, len, PLAIN), "head_too_large", "one byte more is too large");
    is_str(say(big, PP_H1_HEAD_MAX, PLAIN), "head_too_large", "... which shows before its end is there");
    is_str(say(memset(big, 'n', sizeof(big)), sizeof(big), PLAIN), "bad_status_line", "endless garbage is refused as garbage");
    memcpy(big, OK11, sizeof(OK11) - 1);
    is_str(say(big, sizeof(big), PLAIN), "head_too_large", "an endless name is too large");
}

/* "timeout max" as read from a Keep-Alive field with that value. */
static const char *hints(const char *value)
{
    static char words[40];
    char bytes[200];
    pp_h1_response_t resp;
    size_t head_len;
    pp_err_t err;
    int len = snprintf(bytes, sizeof(bytes), OK11 "Keep-Alive: %s\r\n\r\n", value);

    if (pp_h1_head_parse(page_put(bytes, (size_t)len), (size_t)len, PLAIN, &resp, &head_len, &err) != APR_SUCCESS)
        return pp_err_row(err)->name;
    snprintf(words, sizeof(words), "%d %d", resp.keep_alive_timeout, resp.keep_alive_max);
    return words;
}

static void keep_alive_hints_are_read_leniently(void)
{
    is_str(hints("timeout=5, max=100"), "5 100", "both hints are read");
    is_str(hints("MAX=1,Timeout=0"), "0 1", "... in any order and case");
    is_str(hints("timeout=5"), "5 -1", "one may be missing");
    is_str(hints(""), "-1 -1", "both may be missing");
    is_str(hints("timeout=x, max=-1"), "-1 -1", "what is no number is passed over");
    is_str(hints("timeout, max="), "-1 -1", "what has no number is passed over");
    is_str(hints("timeout=99999999999, max=2147483648"), "-1 -1", "a number too large is passed over");
    is_str(hints(",, foo;bar=\"a,timeout=7\", =, timeout=3"), "3 -1", "garbage is passed over");
}

static bool has(const char *list, const char *token)
{
    const size_t len = strlen(list);

    return pp_h1_list_has(page_put(list, len), len, token);
}

static void lists_are_searched(void)
{
    ok(has("close", "close"), "a list of one has it");
    ok(has("a,b , Close", "cLOSE"), "the last item is found, without case and white space");
    ok(has(",,a", "a"), "empty items do not matter");
    ok(!has("", "a"), "an empty list has nothing");
    ok(!has("closed, clos", "close"), "an item is compared whole");
    ok(!has("a=\"x, close, y\"", "close"), "a comma inside a quoted string does not separate");
    ok(!has("a=\"x\\\", close, y\"", "close"), "... nor behind an escaped quote");
    ok(!has("a=\"x, close", "close"), "... nor in one that does not end");
    ok(has("a=\"x\", close", "close"), "an item behind a quoted string is found");
    ok(!has("\"\\", "close"), "a backslash may be the last byte");
}

static void grammar_is_checked(void)
{
    ok(pp_h1_is_token("X-Y", 3) && !pp_h1_is_token("", 0) && !pp_h1_is_token("a b", 3), "a token has no space and is not empty");
    ok(!pp_h1_is_token("a:", 2) && !pp_h1_is_token("a\0", 2), "... and no separator or NUL");
    ok(pp_h1_is_field_value("", 0) && pp_h1_is_field_value("a\tb \xff", 5), "a value may be empty, may hold HTAB and obs-text");
    ok(!pp_h1_is_field_value("a\r\nEvil: x", 10) && !pp_h1_is_field_value("abcdefgh\0", 9), "... but no line end and no NUL");
    ok(pp_h1_is_target("/a?b=%20\xe4", 9) && pp_h1_is_target("*", 1), "a target is visible characters and obs-text");
    ok(!pp_h1_is_target("", 0) && !pp_h1_is_target("/a b", 4) && !pp_h1_is_target("/a\r\n", 4),
       "... not empty, without space and line end");
}

/* Each byte at each place of a run of eight must get the table's verdict: the fast path and the table agree. */
static void every_byte_is_judged_alike_at_every_place(void)
{
    int wrong = 0;

    for (int c = 0; c < 256; c++) {
        const bool allowed = c == '\t' || (c >= ' ' && c != 0x7f);

        for (int place = 0; place < 24; place++) {
            char run[24];

            memset(run, place & 1 ? '\xff' : '!', sizeof(run));
            run[place] = (char)c;
            wrong += pp_h1_is_field_value(page_put(run, sizeof(run)), sizeof(run)) != allowed;
        }
    }
    is_int(wrong, 0, "a value's bytes are judged alike wherever they stand");
}

int main(void)
{
    heads_that_are_accepted();
    heads_that_are_refused();
    garbage_is_refused_at_its_first_byte();
    slices_are_exact();
    heads_have_limits();
    keep_alive_hints_are_read_leniently();
    lists_are_searched();
    grammar_is_checked();
    every_byte_is_judged_alike_at_every_place();
    return done_testing();
}

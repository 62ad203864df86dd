/* micro_h1_head: reading the head of a response: one as nginx sends it, one as an application behind a CDN does, and one that comes in two
 * parts. */
#include "micro.h"
#include "pp_h1_head.h"

static const char typical[] = "HTTP/1.1 200 OK\r\n"
                              "Server: nginx/1.22.1\r\n"
                              "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
                              "Content-Type: application/octet-stream\r\n"
                              "Content-Length: 1024\r\n"
                              "Last-Modified: Fri, 20 Nov 2026 11:00:00 GMT\r\n"
                              "Connection: keep-alive\r\n"
                              "ETag: \"655b4c30-400\"\r\n"
                              "Accept-Ranges: bytes\r\n"
                              "\r\n";

static const char large[] =
    "HTTP/1.1 200 OK\r\n"
    "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Transfer-Encoding: chunked\r\n"
    "Connection: keep-alive\r\n"
    "Keep-Alive: timeout=60, max=1000\r\n"
    "Cache-Control: private, no-cache, no-store, must-revalidate, max-age=0\r\n"
    "Pragma: no-cache\r\n"
    "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    "Vary: Accept-Encoding, Cookie, Accept-Language\r\n"
    "Set-Cookie: session=8f14e45fceea167a5a36dedd4bea2543; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"
    "Set-Cookie: theme=dark; Path=/; Max-Age=31536000\r\n"
    "Content-Security-Policy: default-src 'self'; img-src 'self' data: https://images.example.com; style-src 'self'\r\n"
    "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: SAMEORIGIN\r\n"
    "X-Request-Id: 3f2504e0-4f89-11d3-9a0c-0305e82c3301\r\n"
    "Referrer-Policy: strict-origin-when-cross-origin\r\n"
    "\r\n";

static pp_h1_response_t response;

static void parse(const char *head, size_t len, apr_status_t wanted)
{
    size_t head_len;
    pp_err_t err;

    micro_use(head);
    micro_check(pp_h1_head_parse(head, len, PP_H1_REQUEST_PLAIN, &response, &head_len, &err) == wanted,
                "the head is not read as it should be");
    micro_use(&response);
}

static void run_typical(long times)
{
    for (long i = 0; i < times; i++)
        parse(typical, sizeof(typical) - 1, APR_SUCCESS);
}

static void run_large(long times)
{
    for (long i = 0; i < times; i++)
        parse(large, sizeof(large) - 1, APR_SUCCESS);
}

static void run_two_parts(long times)
{
    for (long i = 0; i < times; i++) {
        parse(typical, sizeof(typical) / 2, APR_EAGAIN);
        parse(typical, sizeof(typical) - 1, APR_SUCCESS);
    }
}

static const micro_t benchmarks[] = {
    {"pp_h1_head_parse, 8 fields", run_typical},
    {"pp_h1_head_parse, 17 fields", run_large},
    {"pp_h1_head_parse, 8 fields in 2 parts", run_two_parts},
};

MICRO_MAIN(benchmarks)

/* pp_upstream: reads the URL of a server, strictly. */
#include "pp_upstream.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define ACCEPTED                                                                                               \
    "; accepted: http://HOST[:PORT]/..., https://HOST[:PORT]/..., srv+http://_SERVICE._tcp.NAME/... and unix:" \
    "/PATH|http://HOST/..."
#define HOST_MAX 253 /* RFC 1035 section 2.3.4 */

/* The parts of a URL are read one after the other: each step moves *at behind its part and returns NULL, or says what is wrong. */
typedef const char *parse_step_t(apr_pool_t *p, const char **at, pp_server_t *server);

static const char *parse_socket(apr_pool_t *p, const char **at, pp_server_t *server)
{
    const char *path = *at + 5, *bar;

    if (strncasecmp(*at, "unix:", 5) != 0)
        return NULL;
    if (*path != '/')
        return "the path of the socket must be absolute";
    bar = strchr(path, '|');
    if (!bar)
        return "|http://HOST/ is missing after the path of the socket";
    if ((size_t)(bar - path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return "the path of the socket is too long";
    server->unix_path = apr_pstrmemdup(p, path, (size_t)(bar - path));
    *at = bar + 1;
    return NULL;
}

static const char *parse_scheme(apr_pool_t *p, const char **at, pp_server_t *server)
{
    static const char *const later[] = {"h2c://"};
    size_t len = strncasecmp(*at, "http://", 7) == 0 ? 7 : strncasecmp(*at, "https://", 8) == 0 ? 8 : 0;

    if (strncasecmp(*at, "srv+http://", 11) == 0) {
        server->is_service = true;
        *at += 11;
        return server->unix_path ? "a socket has no SRV records" : NULL;
    }
    if (len) {
        server->is_tls = len == 8;
        *at += len;
        return NULL;
    }
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (strncasecmp(*at, later[i], strlen(later[i])) == 0)
            return apr_pstrcat(p, later[i], " is not available in this version", NULL);
    }
    return "not the URL of a server";
}

static const char *check_authority(apr_pool_t *p, const char **at, pp_server_t *server)
{
    (void)p;
    (void)server;
    return memchr(*at, '@', strcspn(*at, "/?#")) ? "a user name or password is not accepted" : NULL;
}

static const char *parse_host_v6(apr_pool_t *p, const char **at, pp_server_t *server)
{
    const char *end = strchr(*at, ']');
    struct in6_addr addr;
    char *host;

    if (!end)
        return "the ] after the IPv6 address is missing";
    host = apr_pstrmemdup(p, *at + 1, (size_t)(end - *at - 1));
    if (inet_pton(AF_INET6, host, &addr) != 1)
        return "what is in brackets is not an IPv6 address";
    for (char *c = host; *c; c++)
        *c = (char)apr_tolower(*c);
    server->host = host;
    *at = end + 1;
    return NULL;
}

/* Does the name end in a number, so that it can only be an IPv4 address? RFC 3986 section 3.2.2 */
static bool is_numeric(const char *host)
{
    const char *last = strrchr(host, '.');

    last = last ? last + 1 : host;
    return *last && strspn(last, "0123456789") == strlen(last);
}

static const char *parse_host(apr_pool_t *p, const char **at, pp_server_t *server)
{
    size_t len = strcspn(*at, ":/?#");
    struct in_addr addr;
    char *host;

    if (**at == '[')
        return parse_host_v6(p, at, server);
    if (!len || len > HOST_MAX)
        return len ? "the host name is too long" : "the host is missing";
    host = apr_pstrmemdup(p, *at, len);
    for (char *c = host; *c; c++) {
        *c = (char)apr_tolower(*c);
        if (!apr_isalnum(*c) && !strchr("-._", *c))
            return "the host holds a character that names of hosts do not have";
    }
    if (host[0] == '.' || strstr(host, ".."))
        return "the host name has an empty part";
    if (is_numeric(host) && inet_pton(AF_INET, host, &addr) != 1)
        return "the host is not an IPv4 address";
    server->host = host;
    *at += len;
    return NULL;
}

/* RFC 2782: _Service._Proto.Name; moves to the Name. */
static const char *service_domain(const char *host)
{
    for (int i = 0; i < 2; i++) {
        const char *dot = *host == '_' ? strchr(host, '.') : NULL;

        if (!dot)
            return NULL;
        host = dot + 1;
    }
    return *host ? host : NULL;
}

static const char *check_service(apr_pool_t *p, const char **at, pp_server_t *server)
{
    (void)p;
    if (!server->is_service)
        return NULL;
    if (**at == ':')
        return "the SRV records say which port";
    return service_domain(server->host) ? NULL : "the name of a service is _SERVICE._tcp.NAME";
}

static const char *parse_port(apr_pool_t *p, const char **at, pp_server_t *server)
{
    const char *digits = *at + 1;
    size_t len;

    (void)p;
    server->port = server->is_service ? 0 : pp_server_default_port(server);
    if (**at != ':')
        return NULL;
    len = strspn(digits, "0123456789");
    server->port = len && len <= 5 ? (int)strtol(digits, NULL, 10) : 0;
    if (server->port < 1 || server->port > 65535 || !strchr("/?#", digits[len]))
        return "the port must be a number from 1 to 65535";
    *at = digits + len;
    return NULL;
}

const char *pp_url_path_error(const char *path)
{
    if (*path == '?' || *path == '#' || strpbrk(path, "?#"))
        return "a query or fragment is not accepted";
    if (*path && *path != '/')
        return "the path must begin with /";
    for (const char *c = path; *c; c++) {
        if (!apr_isgraph(*c) || (unsigned char)*c > 0x7e)
            return "the path holds a space, a control or a character outside ASCII; they are written as %XX";
        if (*c == '%' && (!apr_isxdigit(c[1]) || !apr_isxdigit(c[2])))
            return "a % in the path is not followed by two hexadecimal digits";
    }
    return NULL;
}

static const char *parse_path(apr_pool_t *p, const char **at, pp_server_t *server)
{
    const char *why = pp_url_path_error(*at);

    server->path = apr_pstrdup(p, *at);
    return why;
}

int pp_server_default_port(const pp_server_t *server)
{
    return server->is_tls ? 443 : 80;
}

static void name_server(apr_pool_t *p, pp_server_t *server)
{
    const char *host = strchr(server->host, ':') ? apr_pstrcat(p, "[", server->host, "]", NULL) : server->host;
    const char *host_port = apr_psprintf(p, "%s:%d", host, server->port);

    if (server->is_service) {
        server->key = host;
        server->authority = service_domain(host);
        return;
    }
    server->authority = server->port == pp_server_default_port(server) ? host : host_port;
    server->key = server->is_tls ? apr_pstrcat(p, "https://", host_port, NULL) : host_port;
    if (server->unix_path) /* with TLS the host is in SNI, and verified */
        server->key = apr_pstrcat(p, "unix:", server->unix_path, server->is_tls ? "|" : NULL, server->key, NULL);
}

const char *pp_server_parse(apr_pool_t *p, const char *url, pp_server_t **server)
{
    static parse_step_t *const steps[] = {parse_socket,  parse_scheme, check_authority, parse_host,
                                          check_service, parse_port,   parse_path};
    pp_server_t *made = apr_pcalloc(p, sizeof(*made));
    const char *at = url, *why = NULL;

    made->url = apr_pstrdup(p, url);
    made->weight = 1;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !why; i++)
        why = steps[i](p, &at, made);
    if (why)
        return apr_pstrcat(p, "'", url, "': ", why, ACCEPTED, NULL);
    name_server(p, made);
    *server = made;
    return NULL;
}

pp_target_t pp_server_target(const pp_server_t *server, const pp_pool_def_t *pool)
{
    return (pp_target_t){server->key,       server->host,  server->port,
                         server->unix_path, server->limit, server->is_tls ? pool->tls : NULL};
}

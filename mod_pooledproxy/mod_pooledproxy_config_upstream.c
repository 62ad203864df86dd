/* mod_pooledproxy_config_upstream: <PooledProxyUpstream> and what stands in it. */
#include "mod_pooledproxy_config_own.h"

#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>

#define NAME_MAX_LEN 64
#define WEIGHT_MOST 1000
#define LIMIT_MOST 1000000
#define CAPACITY_MOST 1000000000

static const char *const other_directives[] = {"PooledProxyServer", "PooledProxyBalance", "PooledProxyTimeout",
                                               "PooledProxyBackendCapacity"};

static const char *inside_directive(size_t i)
{
    const size_t others = sizeof(other_directives) / sizeof(other_directives[0]);

    if (i < others)
        return other_directives[i];
    if (i - others < PP_POOL_ROWS)
        return pooledproxy_pool_rows[i - others].directive;
    return i - others - PP_POOL_ROWS < PP_TLS_ROWS ? pooledproxy_tls_rows[i - others - PP_POOL_ROWS].directive : NULL;
}

static bool may_be_inside(const char *name)
{
    for (size_t i = 0; inside_directive(i); i++) {
        if (strcasecmp(name, inside_directive(i)) == 0)
            return true;
    }
    return false;
}

static const char *inside_list(apr_pool_t *p)
{
    const char *list = inside_directive(0);

    for (size_t i = 1; inside_directive(i); i++)
        list = apr_pstrcat(p, list, ", ", inside_directive(i), NULL);
    return list;
}

/* httpd would take any directive here as one of the virtual host's. */
static const char *check_inside(cmd_parms *cmd)
{
    for (const ap_directive_t *child = cmd->directive->first_child; child; child = child->next) {
        if (may_be_inside(child->directive))
            continue;
        cmd->err_directive = child;
        return apr_pstrcat(cmd->pool, child->directive, *child->directive == '<' ? ">" : "",
                           " is not accepted inside <PooledProxyUpstream>; accepted: ", inside_list(cmd->pool), NULL);
    }
    return NULL;
}

static const char *parse_name(cmd_parms *cmd, const char *arg, const char **name)
{
    const char *end = strrchr(arg, '>');

    if (!end || end[1])
        return "<PooledProxyUpstream> lacks its closing bracket";
    arg = apr_pstrmemdup(cmd->pool, arg, (size_t)(end - arg));
    *name = ap_getword_conf(cmd->pool, &arg);
    for (const char *c = *name; *c; c++) {
        if (!apr_isalnum(*c) && !strchr("-._", *c))
            *name = "";
    }
    if (!**name || *arg || strlen(*name) > NAME_MAX_LEN)
        return "<PooledProxyUpstream NAME>: the name is one word of at most 64 letters, digits, '-', '.' and '_'";
    return NULL;
}

static pp_upstream_block_t *block_make(cmd_parms *cmd, const char *name)
{
    pp_upstream_block_t *block = apr_pcalloc(cmd->pool, sizeof(*block));

    block->upstream = apr_pcalloc(cmd->pool, sizeof(*block->upstream));
    block->upstream->name = name;
    block->servers = apr_array_make(cmd->pool, 4, sizeof(pp_server_t *));
    block->wheres = apr_array_make(cmd->pool, 4, sizeof(const char *));
    block->capacity = PP_UNSET;
    block->where = pooledproxy_where(cmd->pool, cmd->directive);
    pooledproxy_pool_unset(&block->settings);
    pooledproxy_timeouts_unset(&block->upstream->timeouts);
    return block;
}

static const pp_upstream_block_t *block_find(const pp_server_conf_t *conf, const char *name)
{
    for (int i = 0; i < conf->blocks->nelts; i++) {
        const pp_upstream_block_t *block = APR_ARRAY_IDX(conf->blocks, i, pp_upstream_block_t *);

        if (strcasecmp(block->upstream->name, name) == 0)
            return block;
    }
    return NULL;
}

static const char *block_read(cmd_parms *cmd, pp_server_conf_t *conf, pp_upstream_block_t *block)
{
    const char *why = check_inside(cmd);

    conf->open_block = block;
    if (!why)
        why = ap_walk_config(cmd->directive->first_child, cmd, cmd->context);
    conf->open_block = NULL;
    if (!why && !block->servers->nelts)
        why =
            apr_pstrcat(cmd->pool, "<PooledProxyUpstream ", block->upstream->name, "> needs at least one PooledProxyServer", NULL);
    return why;
}

const char *pooledproxy_open_upstream(cmd_parms *cmd, void *dir, const char *arg)
{
    pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);
    const pp_upstream_block_t *other;
    pp_upstream_block_t *block;
    const char *name, *why = parse_name(cmd, arg, &name);
    char *key;

    (void)dir;
    if (why)
        return why;
    other = block_find(conf, name);
    if (other)
        return apr_pstrcat(cmd->pool, "<PooledProxyUpstream ", name, "> is already defined at ", other->where,
                           " (case does not matter)", NULL);
    block = block_make(cmd, name);
    why = block_read(cmd, conf, block);
    if (why)
        return why;
    block->upstream->nservers = block->servers->nelts;
    block->upstream->servers = (pp_server_t **)block->servers->elts;
    APR_ARRAY_PUSH(conf->blocks, pp_upstream_block_t *) = block;
    key = apr_pstrdup(cmd->pool, name);
    ap_str_tolower(key);
    apr_hash_set(conf->upstreams, key, APR_HASH_KEY_STRING, block->upstream);
    return NULL;
}

static const char *parse_server_number(cmd_parms *cmd, const char *arg, const char *value, pp_time_t most, int *number)
{
    pp_time_t parsed = 0;
    const char *why = pooledproxy_parse_number(cmd->pool, value, 1, most, &parsed);

    *number = (int)parsed;
    return why ? apr_psprintf(cmd->pool, "PooledProxyServer: %.*s: %s", (int)strcspn(arg, "="), arg, why) : NULL;
}

static const char *parse_server_key(cmd_parms *cmd, const char *arg, pp_server_t *server)
{
    if (strncasecmp(arg, "weight=", 7) == 0)
        return parse_server_number(cmd, arg, arg + 7, WEIGHT_MOST, &server->weight);
    if (strncasecmp(arg, "limit=", 6) == 0)
        return parse_server_number(cmd, arg, arg + 6, LIMIT_MOST, &server->limit);
    if (strcasecmp(arg, "backup") == 0)
        server->backup = true;
    else if (strcasecmp(arg, "drain") == 0)
        server->drain = true;
    else
        return apr_pstrcat(cmd->pool, "PooledProxyServer: '", arg, "' is not accepted; accepted: weight=N, limit=N, backup, drain",
                           NULL);
    return NULL;
}

/* Is the key (or flag) of argv[i] among those before it? */
static bool is_repeated(int i, char *const argv[])
{
    size_t len = strcspn(argv[i], "=");

    for (int j = 1; j < i; j++) {
        if (strcspn(argv[j], "=") == len && strncasecmp(argv[i], argv[j], len) == 0)
            return true;
    }
    return false;
}

static const char *check_server_new(cmd_parms *cmd, const pp_upstream_block_t *block, const pp_server_t *server)
{
    for (int i = 0; i < block->servers->nelts; i++) {
        const pp_server_t *other = APR_ARRAY_IDX(block->servers, i, pp_server_t *);

        if (strcmp(other->key, server->key) == 0 && strcmp(other->path, server->path) == 0)
            return apr_pstrcat(cmd->pool, "PooledProxyServer: ", server->key, server->path, " is already a server of ",
                               block->upstream->name, NULL);
    }
    return NULL;
}

static const char *parse_server(cmd_parms *cmd, int argc, char *const argv[], pp_server_t **server)
{
    const char *why = pp_server_parse(cmd->pool, argv[0], server);
    size_t len;

    if (why)
        return apr_pstrcat(cmd->pool, "PooledProxyServer: ", why, NULL);
    for (len = strlen((*server)->path); len && (*server)->path[len - 1] == '/'; len--)
        ;
    (*server)->path = apr_pstrmemdup(cmd->pool, (*server)->path, len);
    for (int i = 1; i < argc && !why; i++) {
        why = is_repeated(i, argv) ? apr_pstrcat(cmd->pool, "PooledProxyServer: '", argv[i], "' is given twice", NULL)
                                   : parse_server_key(cmd, argv[i], *server);
    }
    return why;
}

const char *pooledproxy_add_server(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    pp_upstream_block_t *block = pooledproxy_server_conf(cmd->server)->open_block;
    pp_server_t *server;
    const char *why;

    (void)dir;
    if (!block)
        return "PooledProxyServer is accepted inside <PooledProxyUpstream NAME> only";
    if (!argc)
        return "PooledProxyServer URL [weight=N] [limit=N] [backup] [drain]: the URL is missing";
    why = parse_server(cmd, argc, argv, &server);
    if (!why)
        why = check_server_new(cmd, block, server);
    if (why)
        return why;
    APR_ARRAY_PUSH(block->servers, pp_server_t *) = server;
    APR_ARRAY_PUSH(block->wheres, const char *) = pooledproxy_where(cmd->pool, cmd->directive);
    return NULL;
}

const char *pooledproxy_set_capacity(cmd_parms *cmd, void *dir, const char *arg)
{
    pp_upstream_block_t *block = pooledproxy_server_conf(cmd->server)->open_block;
    pp_time_t capacity;
    const char *why;

    (void)dir;
    if (!block)
        return "PooledProxyBackendCapacity is accepted inside <PooledProxyUpstream NAME> only";
    why = pooledproxy_parse_number(cmd->pool, arg, 1, CAPACITY_MOST, &capacity);
    if (why)
        return apr_pstrcat(cmd->pool, "PooledProxyBackendCapacity: ", why, NULL);
    block->capacity = (int)capacity;
    block->capacity_where = pooledproxy_where(cmd->pool, cmd->directive);
    return NULL;
}

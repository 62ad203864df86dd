/* mod_pooledproxy_config_tls: the settings of TLS, all from the rows of mod_pooledproxy_tls.def, and the contexts made of them. */
#include "mod_pooledproxy_config_build.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <http_log.h>

APLOG_USE_MODULE(pooledproxy);

#define TLS_1_2 0x0303
#define TLS_1_3 0x0304
#define NAME_MAX_LEN 253

const pp_tls_row_t pooledproxy_tls_rows[PP_TLS_ROWS] = {
#define PP_TLS(member, directive, kind, preset, text) \
    {directive, PP_TLS_##kind, offsetof(struct pp_pool_settings_t, member), preset},
#include "mod_pooledproxy_tls.def"
#undef PP_TLS
};

const pp_tls_value_t *pooledproxy_tls_value(const struct pp_pool_settings_t *settings, const pp_tls_row_t *row)
{
    return (const pp_tls_value_t *)((const char *)settings + row->offset);
}

const char *pooledproxy_tls_text(const struct pp_pool_settings_t *settings, const pp_tls_row_t *row)
{
    const pp_tls_value_t *value = pooledproxy_tls_value(settings, row);

    return value->text ? value->text : row->preset;
}

void pooledproxy_tls_overlay(struct pp_pool_settings_t *base, const struct pp_pool_settings_t *over)
{
    for (int i = 0; i < PP_TLS_ROWS; i++) {
        const pp_tls_value_t *value = pooledproxy_tls_value(over, &pooledproxy_tls_rows[i]);

        if (value->text)
            *(pp_tls_value_t *)((char *)base + pooledproxy_tls_rows[i].offset) = *value;
    }
}

/* ---- reading ---- */

static int version_of(const char *word)
{
    return strcasecmp(word, "TLSv1.2") == 0 ? TLS_1_2 : strcasecmp(word, "TLSv1.3") == 0 ? TLS_1_3 : 0;
}

static const char *read_flag(cmd_parms *cmd, const char *arg, const char **text)
{
    if (strcasecmp(arg, "on") != 0 && strcasecmp(arg, "off") != 0)
        return apr_psprintf(cmd->pool, "'%s' is not accepted; accepted: On, Off", arg);
    *text = strcasecmp(arg, "on") == 0 ? "On" : "Off";
    return NULL;
}

static const char *read_file(cmd_parms *cmd, const char *arg, const char **text)
{
    *text = *arg ? ap_server_root_relative(cmd->pool, arg) : NULL;
    return *text ? NULL : apr_psprintf(cmd->pool, "'%s' is not a path", arg);
}

/* An address, or labels with dots between; one at the end is allowed, none at the beginning: OpenSSL takes that for any subdomain. */
static bool is_host(const char *name)
{
    struct in6_addr addr;

    if (inet_pton(AF_INET6, name, &addr) == 1)
        return true;
    if (!apr_isalnum(*name) || strstr(name, ".."))
        return false;
    for (; *name; name++) {
        if (!apr_isalnum(*name) && !strchr("-_.", *name))
            return false;
    }
    return true;
}

static const char *read_word(cmd_parms *cmd, const char *arg, const char **text)
{
    if (!*arg)
        return "the value is empty";
    if (cmd->info == &pooledproxy_tls_rows[PP_TLS_ROW_tls_server_name] && (strlen(arg) > NAME_MAX_LEN || !is_host(arg)))
        return apr_psprintf(cmd->pool, "'%s' is not accepted; accepted: the name of a host, or an address", arg);
    *text = arg;
    return NULL;
}

static const char *read_range(cmd_parms *cmd, const char *least, const char *most, const char **text)
{
    if (!version_of(least) || (most && !version_of(most)))
        return apr_psprintf(cmd->pool, "'%s' is not accepted; accepted: TLSv1.2, TLSv1.3", version_of(least) ? most : least);
    if (most && version_of(most) < version_of(least))
        return apr_psprintf(cmd->pool, "%s is older than %s; accepted: MIN [MAX]", most, least);
    *text = most ? apr_pstrcat(cmd->pool, least, " ", most, NULL) : least;
    return NULL;
}

const char *pooledproxy_set_tls(cmd_parms *cmd, void *dir, const char *arg, const char *second)
{
    const pp_tls_row_t *row = cmd->info;
    pp_tls_value_t *value = (pp_tls_value_t *)((char *)pooledproxy_pool_settings_of(cmd) + row->offset);
    const char *why = NULL;

    (void)dir;
    switch (row->kind) {
    case PP_TLS_FLAG:
        why = read_flag(cmd, arg, &value->text);
        break;
    case PP_TLS_FILE:
        why = read_file(cmd, arg, &value->text);
        break;
    case PP_TLS_WORD:
        why = read_word(cmd, arg, &value->text);
        break;
    case PP_TLS_RANGE:
        why = read_range(cmd, arg, second, &value->text);
        break;
    }
    value->where = pooledproxy_where(cmd->pool, cmd->directive);
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : NULL;
}

/* ---- contexts ---- */

static bool is_on(const pp_tls_value_t *value)
{
    return !value->text || strcasecmp(value->text, "on") == 0;
}

static pp_tls_settings_t settings_from(const struct pp_pool_settings_t *from)
{
    const char *protocol = from->tls_protocol.text, *most = protocol ? strchr(protocol, ' ') : NULL;

    return (pp_tls_settings_t){
        .verify = is_on(&from->tls_verify),
        .ca_file = from->tls_ca_file.text,
        .ca_path = from->tls_ca_path.text,
        .crl_file = from->tls_crl_file.text,
        .certificate_file = from->tls_certificate_file.text,
        .key_file = from->tls_key_file.text,
        .server_name = from->tls_server_name.text,
        .protocol_min = protocol && strncasecmp(protocol, "TLSv1.3", 7) == 0 ? TLS_1_3 : TLS_1_2,
        .protocol_max = most ? version_of(most + 1) : 0,
        .ciphers = from->tls_ciphers.text,
        .session_cache = is_on(&from->tls_session_cache),
    };
}

/* The row that is at fault, by the member of pp_tls_settings_t; NULL: none is. */
static const pp_tls_row_t *row_at_fault(const pp_tls_settings_t *settings, const void *culprit)
{
    const struct {
        const void *member;
        int row;
    } rows[] = {
        {&settings->ca_file, PP_TLS_ROW_tls_ca_file},   {&settings->ca_path, PP_TLS_ROW_tls_ca_path},
        {&settings->crl_file, PP_TLS_ROW_tls_crl_file}, {&settings->certificate_file, PP_TLS_ROW_tls_certificate_file},
        {&settings->key_file, PP_TLS_ROW_tls_key_file}, {&settings->protocol_min, PP_TLS_ROW_tls_protocol},
        {&settings->ciphers, PP_TLS_ROW_tls_ciphers},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].member == culprit)
            return &pooledproxy_tls_rows[rows[i].row];
    }
    return NULL;
}

static bool is_same_tls(const struct pp_pool_settings_t *a, const struct pp_pool_settings_t *b)
{
    for (int i = 0; i < PP_TLS_ROWS; i++) {
        bool in_a = pooledproxy_tls_value(a, &pooledproxy_tls_rows[i])->text,
             in_b = pooledproxy_tls_value(b, &pooledproxy_tls_rows[i])->text;
        if (in_a != in_b ||
            strcmp(pooledproxy_tls_text(a, &pooledproxy_tls_rows[i]), pooledproxy_tls_text(b, &pooledproxy_tls_rows[i])) != 0)
            return false;
    }
    return true;
}

static const pp_tls_t *known_context(const pp_build_t *build, const pp_built_pool_t *pool)
{
    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *other = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (other->def->tls && is_same_tls(&other->settings, &pool->settings))
            return other->def->tls;
    }
    return NULL;
}

static void context_make(pp_build_t *build, const pp_built_pool_t *pool)
{
    pp_tls_settings_t settings = settings_from(&pool->settings);
    const pp_tls_row_t *row;
    const void *culprit;
    const char *why;
    pp_tls_t *tls;

    pool->def->tls = known_context(build, pool);
    if (pool->def->tls)
        return;
    why = pp_tls_create(&tls, &settings, build->p, &culprit);
    pool->def->tls = tls;
    if (!why)
        return;
    row = row_at_fault(&settings, culprit);
    ap_log_error(APLOG_MARK, APLOG_CRIT | APLOG_STARTUP, 0, build->main_server, "%s: %s: %s",
                 row ? pooledproxy_tls_value(&pool->settings, row)->where : "TLS", row ? row->directive : pool->def->name, why);
    build->errors++;
}

bool pooledproxy_pool_has_tls(const pp_build_t *build, const pp_built_pool_t *pool)
{
    for (int i = 0; i < build->uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(build->uses, i, pp_use_t *);

        for (int n = 0; use->pool == pool && n < use->upstream->nservers; n++) {
            if (use->upstream->servers[n]->is_tls)
                return true;
        }
    }
    return build->is_open && !pool->block; /* of a block all servers are known */
}

static bool block_has_tls(const pp_built_pool_t *pool)
{
    for (int i = 0; pool->block && i < pool->block->servers->nelts; i++) {
        if (APR_ARRAY_IDX(pool->block->servers, i, const pp_server_t *)->is_tls)
            return true;
    }
    return false;
}

void pooledproxy_tls_make(pp_build_t *build)
{
    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (block_has_tls(pool) || pooledproxy_pool_has_tls(build, pool))
            context_make(build, pool);
    }
}

/* ---- warnings ---- */

static bool is_about_verification(int row)
{
    return row == PP_TLS_ROW_tls_ca_file || row == PP_TLS_ROW_tls_ca_path || row == PP_TLS_ROW_tls_crl_file;
}

const char *pooledproxy_tls_no_effect(const pp_build_t *build, const pp_built_pool_t *pool, int row)
{
    if (!pooledproxy_pool_has_tls(build, pool) && !(build->is_open && block_has_tls(pool)))
        return "no server of the pool has an https:// URL; write it where they are, or remove it";
    if (is_about_verification(row) && !is_on(&pool->settings.tls_verify))
        return apr_psprintf(build->p, "no certificate is checked, by PooledProxyTLSVerify Off (%s); remove one of the two",
                            pool->settings.tls_verify.where);
    return NULL;
}

/* Of each file once. */
void pooledproxy_tls_report(const pp_build_t *build)
{
    apr_hash_t *told = apr_hash_make(build->p);

    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);
        const struct pp_pool_settings_t *settings = &pool->settings;
        const pp_tls_value_t *key = settings->tls_key_file.text ? &settings->tls_key_file : &settings->tls_certificate_file;
        apr_finfo_t file;

        if (!pool->def->tls || !key->text || apr_hash_get(told, key->text, APR_HASH_KEY_STRING))
            continue;
        apr_hash_set(told, key->text, APR_HASH_KEY_STRING, key->text);
        if (apr_stat(&file, key->text, APR_FINFO_PROT, build->p) == APR_SUCCESS &&
            (file.protection & (APR_FPROT_WREAD | APR_FPROT_WWRITE)))
            pooledproxy_warn(build, key->where,
                             apr_psprintf(build->p, "every user of this machine may read the key in %s; chmod o= it", key->text));
    }
}

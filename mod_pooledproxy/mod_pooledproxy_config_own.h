/* mod_pooledproxy_config_own: what the files of the configuration share among themselves. */
#ifndef MOD_POOLEDPROXY_CONFIG_OWN_H
#define MOD_POOLEDPROXY_CONFIG_OWN_H

#include <ap_expr.h>
#include <stdbool.h>
#include <stddef.h>

#include "mod_pooledproxy_conf.h"

/* A value and its origin. */
typedef struct pp_pool_value_t {
    pp_time_t value;   /* or PP_UNSET */
    const char *where; /* FILE:LINE; NULL: the default */
} pp_pool_value_t;

/* A text and its origin. */
typedef struct pp_tls_value_t {
    const char *text;  /* NULL: not set */
    const char *where; /* FILE:LINE; NULL: the default */
} pp_tls_value_t;

/* The settings of a pool as far as they are set in one place; the others are PP_UNSET, or NULL. */
struct pp_pool_settings_t {
#define PP_POOL(member, directive, kind, least, most, preset, text) pp_pool_value_t member;
#define PP_POOL_PART(member, preset) pp_pool_value_t member;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
#define PP_TLS(member, directive, kind, preset, text) pp_tls_value_t member;
#include "mod_pooledproxy_tls.def"
#undef PP_TLS
    pp_pool_value_t balance; /* pp_balance_kind_t */
    const ap_expr_info_t *hash_expr;
    const char *hash_text; /* as it was written */
};

/* The settings of requests, by number: the keys of PooledProxyTimeout come first. */
enum {
#define PP_TIMEOUT(member, key, preset, least, text) PP_SETTING_##member,
#define PP_CHOICE(member, directive, preset, words, text) PP_SETTING_##member,
#define PP_SIZE(member, directive, key, preset, text) PP_SETTING_##member,
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
    PP_SETTINGS,
    PP_TIMEOUTS = sizeof(pp_timeouts_t) / sizeof(pp_time_t)
};

/* Where the settings of a virtual host are set: FILE:LINE, or NULL. */
struct pp_origins_t {
    const char *settings[PP_SETTINGS];
    const char *enabled;
    const char *event_loops;
    const char *resolver;
};

/* A <PooledProxyUpstream>. */
typedef struct pp_upstream_block_t {
    pp_upstream_t *upstream;
    struct pp_pool_settings_t settings;
    apr_array_header_t *servers;       /* of pp_server_t * */
    apr_array_header_t *wheres;        /* of const char *: where each server is set */
    const char *timeouts[PP_TIMEOUTS]; /* where each key of PooledProxyTimeout is set, or NULL */
    int capacity;                      /* PooledProxyBackendCapacity, or PP_UNSET */
    const char *capacity_where;
    const char *where; /* FILE:LINE */
} pp_upstream_block_t;

/* One directive that sets a number, a flag or a time of a pool; cmd->info of its handler. */
typedef struct pp_pool_row_t {
    const char *directive;
    enum { PP_NUMBER, PP_FLAG, PP_TIME, PP_LIMIT, PP_AGE, PP_DNS } kind;
    size_t offset; /* in pp_pool_settings_t */
    pp_time_t least, most, preset;
} pp_pool_row_t;

enum {
#define PP_POOL(member, directive, kind, least, most, preset, text) PP_POOL_ROW_##member,
#define PP_POOL_PART(member, preset)
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
    PP_POOL_ROWS
};
extern const pp_pool_row_t pooledproxy_pool_rows[PP_POOL_ROWS];

/* One directive of TLS to the servers of a pool; cmd->info of its handler. */
typedef struct pp_tls_row_t {
    const char *directive;
    enum { PP_TLS_FLAG, PP_TLS_FILE, PP_TLS_WORD, PP_TLS_RANGE } kind;
    size_t offset; /* of its pp_tls_value_t in pp_pool_settings_t */
    const char *preset;
} pp_tls_row_t;

enum {
#define PP_TLS(member, directive, kind, preset, text) PP_TLS_ROW_##member,
#include "mod_pooledproxy_tls.def"
#undef PP_TLS
    PP_TLS_ROWS
};
extern const pp_tls_row_t pooledproxy_tls_rows[PP_TLS_ROWS];

/* One setting of requests; that of a directive is cmd->info of its handler. */
typedef struct pp_setting_row_t {
    const char *directive;    /* NULL: a key of PooledProxyTimeout */
    const char *key;          /* of PooledProxyTimeout or PooledProxyPass, or NULL */
    size_t offset;            /* in pp_request_settings_t: a pp_time_t for a timeout, else an int */
    const char *const *words; /* of a choice */
    pp_time_t least;          /* of a timeout */
} pp_setting_row_t;
extern const pp_setting_row_t pooledproxy_setting_rows[PP_SETTINGS];

/* Values. NULL, or a message that says what is accepted. */
const char *pooledproxy_parse_time(apr_pool_t *p, const char *arg, pp_time_t least, pp_time_t most, pp_time_t *time);
const char *pooledproxy_parse_number(apr_pool_t *p, const char *arg, pp_time_t least, pp_time_t most, pp_time_t *number);

/* "KEY=T" of PooledProxyTimeout, read into `timeouts`, where it must not be set yet. NULL, or a message. */
const char *pooledproxy_parse_timeout(apr_pool_t *p, const char *arg, pp_timeouts_t *timeouts);
const char *pooledproxy_parse_size(apr_pool_t *p, const char *arg, int *bytes);
const char *pooledproxy_timeout_keys(apr_pool_t *p, const char *prefix); /* "PREFIXtotal=T, ..." */

const char *pooledproxy_where(apr_pool_t *p, const ap_directive_t *directive); /* "FILE:LINE" */
void pooledproxy_origins_overlay(struct pp_origins_t *base, const struct pp_origins_t *over);

/* Values as they would be written: "5s", "64K", "auto:1-20", "On". */
const char *pooledproxy_time_text(apr_pool_t *p, pp_time_t time);
const char *pooledproxy_setting_text(apr_pool_t *p, const pp_request_settings_t *settings, const pp_setting_row_t *row);
const char *pooledproxy_pool_text(apr_pool_t *p, const struct pp_pool_settings_t *settings, const pp_pool_row_t *row);
const char *pooledproxy_dns_text(apr_pool_t *p, const struct pp_pool_settings_t *settings);
const char *pooledproxy_balance_text(apr_pool_t *p, const struct pp_pool_settings_t *settings);
const pp_pool_value_t *pooledproxy_pool_value(const struct pp_pool_settings_t *settings, const pp_pool_row_t *row);

const pp_tls_value_t *pooledproxy_tls_value(const struct pp_pool_settings_t *settings, const pp_tls_row_t *row);
const char *pooledproxy_tls_text(const struct pp_pool_settings_t *settings, const pp_tls_row_t *row); /* "-": none */

/* The settings that a directive is about: those of the <PooledProxyUpstream> it stands in, else the virtual host's. */
struct pp_pool_settings_t *pooledproxy_pool_settings_of(cmd_parms *cmd);

/* Handlers of directives. */
const char *pooledproxy_set_tls(cmd_parms *cmd, void *dir, const char *arg, const char *second);
const char *pooledproxy_set_pool(cmd_parms *cmd, void *dir, const char *arg);
const char *pooledproxy_set_max_age(cmd_parms *cmd, void *dir, const char *arg, const char *jitter);
const char *pooledproxy_set_dns_ttl(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *pooledproxy_set_resolver(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *pooledproxy_set_size(cmd_parms *cmd, void *dir, const char *arg);
const char *pooledproxy_set_capacity(cmd_parms *cmd, void *dir, const char *arg);
const char *pooledproxy_set_choice(cmd_parms *cmd, void *dir, const char *arg);
const char *pooledproxy_set_timeouts(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *pooledproxy_add_cookie_domain(cmd_parms *cmd, void *dir, const char *from, const char *to);
const char *pooledproxy_add_cookie_path(cmd_parms *cmd, void *dir, const char *from, const char *to);
const char *pooledproxy_add_route(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *pooledproxy_add_regex_route(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *pooledproxy_open_upstream(cmd_parms *cmd, void *dir, const char *arg);
const char *pooledproxy_add_server(cmd_parms *cmd, void *dir, int argc, char *const argv[]);
const char *pooledproxy_set_balance(cmd_parms *cmd, void *dir, const char *arg);

/* The settings of pools: layers and what comes out. */
void pooledproxy_pool_unset(struct pp_pool_settings_t *settings);
void pooledproxy_pool_preset(struct pp_pool_settings_t *settings);
void pooledproxy_pool_overlay(struct pp_pool_settings_t *base, const struct pp_pool_settings_t *over);
void pooledproxy_tls_overlay(struct pp_pool_settings_t *base, const struct pp_pool_settings_t *over); /* part of pool_overlay */
void pooledproxy_pool_policy(const struct pp_pool_settings_t *settings, pp_pool_policy_t *policy);

#endif

/* mod_pooledproxy_config_own: what the files of the configuration share among themselves. */
#ifndef MOD_POOLEDPROXY_CONFIG_OWN_H
#define MOD_POOLEDPROXY_CONFIG_OWN_H

#include <ap_expr.h>
#include <stdbool.h>
#include <stddef.h>

#include "mod_pooledproxy_conf.h"

/* The settings of a pool as far as they are set in one place; the others are PP_UNSET. */
struct pp_pool_settings_t {
#define PP_POOL(member, directive, kind, least, most, preset, text) pp_time_t member;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
    int balance; /* pp_balance_kind_t */
    const ap_expr_info_t *hash_expr;
};

/* A <PooledProxyUpstream>. */
typedef struct pp_upstream_block_t {
    pp_upstream_t *upstream;
    struct pp_pool_settings_t settings;
    apr_array_header_t *servers; /* of pp_server_t * */
    const char *where;           /* FILE:LINE */
} pp_upstream_block_t;

/* One directive that sets a number, a flag or a time of a pool; cmd->info of its handler. */
typedef struct pp_pool_row_t {
    const char *directive;
    enum { PP_NUMBER, PP_FLAG, PP_TIME } kind;
    size_t offset; /* in pp_pool_settings_t */
    pp_time_t least, most, preset;
} pp_pool_row_t;

enum {
#define PP_POOL(member, directive, kind, least, most, preset, text) PP_POOL_ROW_##member,
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
    PP_POOL_ROWS
};
extern const pp_pool_row_t pooledproxy_pool_rows[PP_POOL_ROWS];

/* One directive that takes one of some words; cmd->info of its handler. */
typedef struct pp_choice_row_t {
    size_t offset; /* in pp_request_settings_t, an int */
    const char *const *words;
} pp_choice_row_t;

enum {
#define PP_TIMEOUT(member, key, preset, least, text)
#define PP_CHOICE(member, directive, preset, words, text) PP_CHOICE_ROW_##member,
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
    PP_CHOICE_ROWS
};
extern const pp_choice_row_t pooledproxy_choice_rows[PP_CHOICE_ROWS];

/* Values. NULL, or a message that says what is accepted. */
const char *pooledproxy_parse_time(apr_pool_t *p, const char *arg, pp_time_t least, pp_time_t most, pp_time_t *time);
const char *pooledproxy_parse_number(apr_pool_t *p, const char *arg, pp_time_t least, pp_time_t most, pp_time_t *number);

/* "KEY=T" of PooledProxyTimeout, read into `timeouts`, where it must not be set yet. NULL, or a message. */
const char *pooledproxy_parse_timeout(apr_pool_t *p, const char *arg, pp_timeouts_t *timeouts);
const char *pooledproxy_timeout_keys(apr_pool_t *p, const char *prefix); /* "PREFIXtotal=T, ..." */

const char *pooledproxy_where(apr_pool_t *p, const ap_directive_t *directive); /* "FILE:LINE" */

/* Handlers of directives. */
const char *pooledproxy_set_pool(cmd_parms *cmd, void *dir, const char *arg);
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
void pooledproxy_pool_policy(const struct pp_pool_settings_t *settings, pp_pool_policy_t *policy);

/* Looks through the configuration of vhost s for "pooledproxy:URL" in directives of other modules (SetHandler, RewriteRule):
 * remembers in `handlers` how they are written, checks the URLs of SetHandler, logs what is wrong and counts it in *errors.
 * Returns whether there are any. */
bool pooledproxy_handlers_find(apr_pool_t *p, server_rec *s, apr_hash_t *handlers, int *errors);

#endif

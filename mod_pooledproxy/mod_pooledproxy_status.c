/* mod_pooledproxy_status: the numbers of pp_stats.def, summed over all processes, in three forms. */
#include "mod_pooledproxy_status.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <util_script.h>

#include "mod_pooledproxy_engine.h"

typedef void pool_writer_t(request_rec *r, const pp_pool_def_t *pool, const int64_t *numbers);

static void each_pool(request_rec *r, pool_writer_t *write_pool)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    int64_t *numbers = apr_palloc(r->pool, sizeof(*numbers) * pp_stat_row_count);

    for (int i = 0; i < conf->npools; i++) {
        pooledproxy_engine_sum(i, numbers);
        write_pool(r, conf->pools[i], numbers);
    }
}

/* ---- JSON ---- */

/* Names come from the configuration, where any byte may stand. */
static const char *json_escape(apr_pool_t *p, const char *s)
{
    char *escaped = apr_palloc(p, strlen(s) * 6 + 1), *at = escaped;

    for (; *s; s++) {
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
            at += apr_snprintf(at, 7, "\\u%04x", (unsigned char)*s);
        else
            *at++ = *s;
    }
    *at = '\0';
    return escaped;
}

static void json_pool(request_rec *r, const pp_pool_def_t *pool, const int64_t *numbers)
{
    ap_rprintf(r, "%s\n  {\"name\": \"%s\", \"size\": %d, \"host_limit\": %d", pool->index ? "," : "",
               json_escape(r->pool, pool->name), pool->policy.size, pool->policy.host_limit);
    for (unsigned row = 0; row < pp_stat_row_count; row++)
        ap_rprintf(r, ", \"%s\": %" APR_INT64_T_FMT, pp_stat_rows[row].name, (apr_int64_t)numbers[row]);
    ap_rprintf(r, ", \"close_age_ms\": %" APR_INT64_T_FMT "}", (apr_int64_t)(pooledproxy_engine_close_age(pool->index) / 1000));
}

static void status_json(request_rec *r)
{
    ap_set_content_type(r, "application/json");
    ap_rputs("{\"pools\": [", r);
    each_pool(r, json_pool);
    ap_rputs("\n]}\n", r);
}

/* ---- Prometheus text ---- */

static const char *label_escape(apr_pool_t *p, const char *s)
{
    char *escaped = apr_palloc(p, strlen(s) * 2 + 1), *at = escaped;

    for (; *s; s++) {
        if (*s == '"' || *s == '\\' || *s == '\n')
            *at++ = '\\';
        *at++ = *s == '\n' ? 'n' : *s;
    }
    *at = '\0';
    return escaped;
}

/* All samples of one metric stand together: first by metric, then by pool. */
static void prometheus_metric(request_rec *r, unsigned row, int64_t *const *numbers)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    const pp_stat_row_t *stat = &pp_stat_rows[row];
    bool close = stat->kind == PP_STAT_CLOSE;
    const char *name = close ? "conn_closed" : stat->name, *total = stat->kind == PP_STAT_GAUGE ? "" : "_total";

    if (!close || pp_stat_rows[row - 1].kind != PP_STAT_CLOSE)
        ap_rprintf(r, "# HELP pooledproxy_%s%s %s\n# TYPE pooledproxy_%s%s %s\n", name, total,
                   close ? "connections closed, by reason" : stat->text, name, total, *total ? "counter" : "gauge");
    for (int i = 0; i < conf->npools; i++) {
        ap_rprintf(r, "pooledproxy_%s%s{pool=\"%s\"", name, total, label_escape(r->pool, conf->pools[i]->name));
        if (close)
            ap_rprintf(r, ",reason=\"%s\"", stat->name + sizeof("conn_closed_") - 1);
        ap_rprintf(r, "} %" APR_INT64_T_FMT "\n", (apr_int64_t)numbers[i][row]);
    }
}

/* Only for pools where it is known. */
static void prometheus_close_age(request_rec *r)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    bool first = true;

    for (int i = 0; i < conf->npools; i++) {
        pp_time_t age = pooledproxy_engine_close_age(i);
        if (age && first)
            ap_rputs("# HELP pooledproxy_close_age_seconds the learnt age at which a server closes idle connections\n"
                     "# TYPE pooledproxy_close_age_seconds gauge\n",
                     r);
        if (age)
            ap_rprintf(r, "pooledproxy_close_age_seconds{pool=\"%s\"} %.3f\n", label_escape(r->pool, conf->pools[i]->name),
                       (double)age / PP_SEC(1));
        first = first && !age;
    }
}

static void status_prometheus(request_rec *r)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    int64_t **numbers = apr_palloc(r->pool, sizeof(*numbers) * (apr_size_t)(conf->npools + 1));

    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    for (int i = 0; i < conf->npools; i++) {
        numbers[i] = apr_palloc(r->pool, sizeof(**numbers) * pp_stat_row_count);
        pooledproxy_engine_sum(i, numbers[i]);
    }
    for (unsigned row = 0; conf->npools && row < pp_stat_row_count; row++)
        prometheus_metric(r, row, numbers);
    prometheus_close_age(r);
}

/* ---- HTML ---- */

static void html_pool(request_rec *r, const pp_pool_def_t *pool, const int64_t *numbers)
{
    pp_time_t close_age = pooledproxy_engine_close_age(pool->index);

    ap_rprintf(r, "<h2>%s</h2>\n<p>size %d, keep-alive %s</p>\n<table>\n", ap_escape_html(r->pool, pool->name), pool->policy.size,
               pool->policy.keep_alive ? "on" : "off");
    for (unsigned row = 0; row < pp_stat_row_count; row++) {
        const pp_stat_row_t *stat = &pp_stat_rows[row];
        if (stat->kind == PP_STAT_CLOSE && numbers[row] == 0)
            continue;
        ap_rprintf(r, "<tr><th>%s</th><td>%" APR_INT64_T_FMT "</td><td>%s</td></tr>\n", stat->name, (apr_int64_t)numbers[row],
                   ap_escape_html(r->pool, stat->text));
    }
    ap_rputs("</table>\n", r);
    if (close_age)
        ap_rprintf(r, "<p>Its server closes idle connections after about %.1f s; they are given up before that.</p>\n",
                   (double)close_age / PP_SEC(1));
}

static void status_html(request_rec *r)
{
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs("<!DOCTYPE html>\n<html><head><title>mod_pooledproxy</title>\n<style>body{font-family:sans-serif}"
             "th{text-align:left;font-weight:normal}td{padding-left:1em}td:nth-child(2){text-align:right}"
             "td:nth-child(3){color:#666}</style></head>\n<body>\n<h1>mod_pooledproxy</h1>\n",
             r);
    if (pooledproxy_main_conf()->npools == 0)
        ap_rputs("<p>No pool is configured.</p>\n", r);
    each_pool(r, html_pool);
    ap_rputs("</body></html>\n", r);
}

int pooledproxy_status_handler(request_rec *r)
{
    const char *format;
    apr_table_t *query;

    if (!r->handler || strcmp(r->handler, PP_STATUS_HANDLER))
        return DECLINED;
    r->allowed = AP_METHOD_BIT << M_GET;
    if (r->method_number != M_GET)
        return HTTP_METHOD_NOT_ALLOWED;
    ap_args_to_table(r, &query);
    format = apr_table_get(query, "format");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    if (format && !strcmp(format, "json"))
        status_json(r);
    else if (format && !strcmp(format, "prometheus"))
        status_prometheus(r);
    else if (!format || !strcmp(format, "html"))
        status_html(r);
    else
        return HTTP_BAD_REQUEST;
    return OK;
}

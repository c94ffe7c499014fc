/* A module of ipmi_sim that answers DCMI: Get Capabilities Info, Get Power Reading, Get Power Limit.
 *
 * Its option is a file with one line, read again at each request: "current minimum maximum average period_ms limit", in
 * watts; a limit of 0 is none. The declarations restate what OpenIPMI's lanserv gives its modules.
 * Built by tests/sim/ipmi: cc -shared -fPIC -o dcmi.so dcmi.c
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct lmc_data_s lmc_data_t;
typedef struct sys_data_s sys_data_t;
typedef struct channel_s channel_t;
typedef struct msg_s {
    void *source; int source_length; long oem; unsigned char channel; channel_t *origin;
    unsigned char auth_type; uint32_t sequence; uint32_t session;
    union {
        struct { unsigned char *code; unsigned char data[16]; } rmcp;
        struct {
            unsigned char payload, encrypted, authenticated, iana[3]; uint16_t id;
            unsigned char *data; unsigned int length;
        } rmcpp;
    } u;
    unsigned char netfn, rs_addr, rs_lun, rq_addr, rq_lun, rq_seq, cmd;
    unsigned char *data; unsigned int len; uint32_t iana; struct msg_s *next;
} msg_t;
typedef void (*handler)(lmc_data_t *, msg_t *, unsigned char *, unsigned int *, void *);
extern void ipmi_emu_register_group_extension_handler(uint8_t, handler, void *);

enum { GROUP = 0xdc, CAPABILITIES = 1, READING = 2, LIMIT = 3 };

static char path[512];

static void put(unsigned char *to, unsigned long value, int bytes)
{
    while (bytes-- > 0) { *to++ = value & 0xff; value >>= 8; }
}

static void answer(lmc_data_t *mc, msg_t *request, unsigned char *reply, unsigned int *length, void *unused)
{
    unsigned long now = 0, least = 0, most = 0, mean = 0, period = 1000, limit = 0;
    FILE *file = fopen(path, "r");
    int found = file ? fscanf(file, "%lu %lu %lu %lu %lu %lu", &now, &least, &most, &mean, &period, &limit) : 0;
    (void)mc; (void)unused;
    if (file) fclose(file);
    memset(reply, 0, 20);
    reply[1] = GROUP;
    *length = 2;
    switch (request->cmd) {
    case CAPABILITIES:
        put(reply + 2, 0x00020501, 4); /* 1.5, revision 2 */
        reply[6] = 1;                  /* manages power */
        *length = 8;
        break;
    case READING:
        if (found < 4) { reply[0] = 0xcb; break; }
        put(reply + 2, now, 2); put(reply + 4, least, 2); put(reply + 6, most, 2); put(reply + 8, mean, 2);
        put(reply + 14, period, 4);
        reply[18] = 0x40; /* measures */
        *length = 19;
        break;
    case LIMIT:
        if (limit == 0) { reply[0] = 0x80; break; }
        reply[4] = 0x11; /* only logs */
        put(reply + 5, limit, 2); put(reply + 7, 1000, 4); put(reply + 13, 1, 2);
        *length = 15;
        break;
    default:
        reply[0] = 0xc1;
    }
}

int ipmi_sim_module_print_version(sys_data_t *system, char *options)
{
    (void)system; (void)options;
    return 0;
}

int ipmi_sim_module_init(sys_data_t *system, char *options)
{
    (void)system;
    snprintf(path, sizeof path, "%s", options);
    ipmi_emu_register_group_extension_handler(GROUP, answer, NULL);
    return 0;
}

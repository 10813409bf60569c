#include "event/proto_health.h"

#include "event/proto_pb.h"
#include "health.pb.h"

const char *
health_name(enum health status)
{
	switch (status) {
	case HEALTH_SERVING:
		return "SERVING";
	case HEALTH_NOT_SERVING:
		return "NOT_SERVING";
	case HEALTH_SERVICE_UNKNOWN:
		return "SERVICE_UNKNOWN";
	case HEALTH_UNKNOWN:
		break;
	}
	return "UNKNOWN";
}

void
proto_put_health_request(struct buf *out, const char *service)
{
	struct proto_text name = proto_text_of(service);
	grpc_health_v1_HealthCheckRequest m =
	    grpc_health_v1_HealthCheckRequest_init_zero;
	pb_ostream_t s;

	m.service = proto_writer(&name);
	if (proto_begin(&s, out, name.n))
		proto_end(&s, out,
		    pb_encode(&s, grpc_health_v1_HealthCheckRequest_fields,
			&m));
}

void
proto_put_health(struct buf *out, enum health status)
{
	grpc_health_v1_HealthCheckResponse m = { (
	    grpc_health_v1_HealthCheckResponse_ServingStatus)status };
	pb_ostream_t s;

	if (proto_begin(&s, out, 0))
		proto_end(&s, out,
		    pb_encode(&s, grpc_health_v1_HealthCheckResponse_fields,
			&m));
}

static bool
get_service(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	size_t n = s->bytes_left;
	char *to = *arg;

	(void)field;
	if (n > HEALTH_MAX_SERVICE)
		n = HEALTH_MAX_SERVICE;
	to[n] = '\0';
	return pb_read(s, (pb_byte_t *)to, n) &&
	    pb_read(s, NULL, s->bytes_left);
}

int
proto_get_health_request(const uint8_t *p, size_t n,
    char service[HEALTH_MAX_SERVICE + 1], struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);
	grpc_health_v1_HealthCheckRequest m =
	    grpc_health_v1_HealthCheckRequest_init_zero;

	*service = '\0';
	m.service =
	    (pb_callback_t){ .funcs.decode = get_service, .arg = service };
	if (pb_decode(&s, grpc_health_v1_HealthCheckRequest_fields, &m))
		return 0;
	return err_set(err, ERR_PROTO, "malformed HealthCheckRequest");
}

int
proto_get_health(const uint8_t *p, size_t n, enum health *status,
    struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);
	grpc_health_v1_HealthCheckResponse m =
	    grpc_health_v1_HealthCheckResponse_init_zero;

	if (!pb_decode(&s, grpc_health_v1_HealthCheckResponse_fields, &m))
		return err_set(err, ERR_PROTO, "malformed HealthCheckResponse");
	*status = (enum health)m.status;
	return 0;
}

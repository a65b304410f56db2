// Checks by TLS, by datagram and by a command.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <fstream>

#include "runtime/probe.hpp"
#include "setup.hpp"

using namespace lb;
using namespace lb::e2e;
using model::HealthCheckType;
using runtime::ProbeError;
using runtime::ProbeResult;

namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

ProbeResult check_once(const model::HealthCheck& check, const std::string& target)
{
    asio::io_context io{1};
    std::optional<ProbeResult> result;
    runtime::probe(io, check, *Endpoint::parse(target), [&](const ProbeResult& found) { result = found; });
    io.run();
    REQUIRE(result);
    return *result;
}

// A key, and a certificate of its own for web.example, as files.
struct Identity {
    std::string key = write_file("key.pem", "").string(), certificate = write_file("cert.pem", "").string();
    Identity()
    {
        EVP_PKEY* const pair = EVP_EC_gen("P-256");
        X509* const made = X509_new();
        X509_set_version(made, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
        X509_gmtime_adj(X509_getm_notBefore(made), -60);
        X509_gmtime_adj(X509_getm_notAfter(made), 3600);
        X509_set_pubkey(made, pair);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("web.example"), -1, -1, 0);
        X509_set_issuer_name(made, X509_get_subject_name(made));
        X509_EXTENSION* const names =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:web.example");
        X509_add_ext(made, names, -1);
        X509_sign(made, pair, EVP_sha256());
        std::FILE* file = std::fopen(key.c_str(), "w");
        PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        file = std::fopen(certificate.c_str(), "w");
        PEM_write_X509(file, made);
        std::fclose(file);
        X509_EXTENSION_free(names);
        X509_free(made);
        EVP_PKEY_free(pair);
    }
};

// Answers so many connections with 200, and remembers the names that were asked for.
class TlsServer {
public:
    TlsServer(const Identity& identity, int connections)
        : acceptor_(io_, {asio::ip::address_v4::loopback(), 8443})
    {
        context_.use_certificate_file(identity.certificate, ssl::context::pem);
        context_.use_private_key_file(identity.key, ssl::context::pem);
        thread_ = std::jthread([this, connections] {
            for (int i = 0; i < connections; ++i) serve();
        });
    }
    const std::vector<std::string>& names()
    {
        thread_.join();
        return names_;
    }

private:
    void serve()
    {
        ssl::stream<asio::ip::tcp::socket> stream(io_, context_);
        acceptor_.accept(stream.next_layer());
        boost::system::error_code error;
        stream.handshake(ssl::stream_base::server, error);
        const char* name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
        names_.emplace_back(name ? name : "");
        if (error) return;
        std::array<char, 4096> question{};
        stream.read_some(asio::buffer(question), error);
        asio::write(stream, asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), error);
    }
    asio::io_context io_{1};
    ssl::context context_{ssl::context::tls_server};
    asio::ip::tcp::acceptor acceptor_;
    std::vector<std::string> names_ = {};
    std::jthread thread_ = {};
};

} // namespace

TEST_CASE("by TLS a check believes a certificate that this host trusts, of the name that it asks for",
          "[e2e][health]")
{
    const Identity identity;
    REQUIRE(::setenv("SSL_CERT_FILE", identity.certificate.c_str(), 1) == 0); // read once, at the first check
    const Namespace host("host");
    host.ip("link set lo up");
    host.run([&] {
        TlsServer server(identity, 5);
        const model::HealthCheck by_host{.type = HealthCheckType::https, .host = "web.example:443"};
        CHECK(check_once(by_host, "127.0.0.1:8443").message == "HTTP 200");
        auto by_sni = by_host;
        by_sni.host = "other.example";
        by_sni.sni = "web.example";
        CHECK(check_once(by_sni, "127.0.0.1:8443").good());
        auto by_other = by_host;
        by_other.host = "other.example";
        const auto wrong = check_once(by_other, "127.0.0.1:8443");
        CHECK(wrong.error == ProbeError::tls);
        CHECK(wrong.message.find("certificate verify failed") != std::string::npos);
        model::HealthCheck by_address{.type = HealthCheckType::https};
        CHECK(check_once(by_address, "127.0.0.1:8443").error == ProbeError::tls);
        by_address.tls_verify = false;
        CHECK(check_once(by_address, "127.0.0.1:8443").good());
        CHECK(server.names() ==
              std::vector<std::string>{"web.example", "web.example", "other.example", "", ""});
        // What speaks no TLS.
        const Server plain({.name = "plain", .listen = "127.0.0.1:8081", .udp = false});
        CHECK(check_once({.type = HealthCheckType::https, .timeout = 500ms}, "127.0.0.1:8081").good() ==
              false);
    });
}

TEST_CASE("by UDP a target has to answer, and with what is expected", "[e2e][health]")
{
    const Namespace host("host");
    host.ip("link set lo up");
    host.run([] {
        const Server server(
            {.name = "udp", .listen = "127.0.0.1:8080", .tcp = false}); // answers with its name
        model::HealthCheck check{.type = HealthCheckType::udp, .timeout = 300ms, .send = "hello"};
        CHECK(check_once(check, "127.0.0.1:8080").message == "answered");
        check.expect = "hello";
        CHECK(check_once(check, "127.0.0.1:8080").good());
        check.expect = "goodbye";
        CHECK(check_once(check, "127.0.0.1:8080").error == ProbeError::bad_answer);
        CHECK(check_once(check, "127.0.0.1:8081").error == ProbeError::refused); // ICMP says so
        const SocketAddress silent("127.0.0.1:8082");
        const Fd fd = make_socket(-1, AF_INET, SOCK_DGRAM);
        REQUIRE(::bind(fd.get(), silent.data(), silent.size()) == 0);
        CHECK(check_once(check, "127.0.0.1:8082").error == ProbeError::timeout);
    });
}

TEST_CASE("by a command its exit status counts, in time, and it gets nothing of lb's but the target",
          "[e2e][health]")
{
    const auto run = [](const std::vector<std::string>& command) {
        return check_once({.type = HealthCheckType::exec, .timeout = 300ms, .command = command},
                          "10.0.0.1:8080");
    };
    CHECK(run({"/bin/true"}).good());
    CHECK(run({"/bin/false"}).message == "exit status 1");
    CHECK(run({"/bin/sh", "-c", "exit 7"}).message == "exit status 7");
    CHECK(run({"/bin/sh", "-c", "kill -TERM $$"}).message == "ended by signal 15");
    CHECK(run({"/bin/sh", "-c", "test $LB_TARGET_IP:$LB_TARGET_PORT = 10.0.0.1:8080"}).good());
    CHECK(run({"/nowhere"}).message == "No such file or directory");
    // Two variables and the path; three files, and what ls opens to list them.
    ::setenv("LB_SECRET", "x", 1);
    CHECK(run({"/bin/sh", "-c", "test -z \"$LB_SECRET\" && test $(env | grep -c ^LB_) = 2"}).good());
    CHECK(run({"/bin/sh", "-c", "test $(ls /proc/self/fd | wc -l) -le 4"}).good());
    // With its children.
    const std::string mark = write_file("mark", "").string();
    const auto began = std::chrono::steady_clock::now();
    const auto late = run({"/bin/sh", "-c", "(sleep 1; echo late > " + mark + ") & sleep 5"});
    CHECK(late.error == ProbeError::timeout);
    CHECK(std::chrono::steady_clock::now() - began < 2s);
    std::this_thread::sleep_for(1200ms);
    CHECK(std::filesystem::file_size(mark) == 0);
}

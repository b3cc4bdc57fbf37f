import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.util.Collection;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceKEMEnvelopedRecipient;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.tsp.TimeStampResponse;

/** Verifies one structure for each argument, KIND:FILE:ISSUER, or makes some, and prints "good" or "bad". */
public final class Judge {
    public static void main(String[] jobs) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (String job : jobs) {
            String verdict;
            try {
                verdict = verify(job.split(":")) ? "good " + job : "bad " + job;
            } catch (Exception fault) {
                verdict = "bad " + job + ": " + fault;
            }
            System.out.println(verdict);
        }
    }

    private static boolean verify(String[] job) throws Exception {
        switch (job[0]) {
            case "certificate":
                X509CertificateHolder found = certificate(job[1]);
                return found.isSignatureValid(keyOf(certificate(job[2])));
            case "crl":
                X509CRLHolder crl = (X509CRLHolder) pem(job[1]);
                return crl.isSignatureValid(keyOf(certificate(job[2])));
            case "request":
                PKCS10CertificationRequest request = (PKCS10CertificationRequest) pem(job[1]);
                return request.isSignatureValid(verifier(request.getSubjectPublicKeyInfo()));
            case "make":
                make(job[1]);
                return true;
            case "ocsp":
                OCSPResp answer = new OCSPResp(octets(job[1]));
                BasicOCSPResp basic = (BasicOCSPResp) answer.getResponseObject();
                return basic.isSignatureValid(keyOf(basic.getCerts()[0]));
            case "cms":
                return verify(new CMSSignedData(octets(job[1])));
            case "stamp":
                return verify(new TimeStampResponse(octets(job[1])).getTimeStampToken().toCMSSignedData());
            case "opens":
                return "what is sealed".equals(opened(octets(job[1]), octets(job[2])));
            default:
                throw new IllegalArgumentException(job[0]);
        }
    }

    /** Writes a new key and a request by it: NAME.pkcs8 and NAME.p10, both in DER. */
    private static void make(String name) throws Exception {
        KeyPair pair = KeyPairGenerator.getInstance(name, "BC").generateKeyPair();
        X500Name subject = new X500Name("CN=" + name);
        PKCS10CertificationRequest request =
            new JcaPKCS10CertificationRequestBuilder(subject, pair.getPublic())
                .build(new JcaContentSignerBuilder(name).setProvider("BC").build(pair.getPrivate()));
        Files.write(Path.of(name + ".p10"), request.getEncoded());
        Files.write(Path.of(name + ".pkcs8"), pair.getPrivate().getEncoded());
    }

    private static boolean verify(CMSSignedData signed) throws Exception {
        SignerInformation signer = signed.getSignerInfos().getSigners().iterator().next();
        Collection<?> matches = signed.getCertificates().getMatches(signer.getSID());
        X509CertificateHolder own = (X509CertificateHolder) matches.iterator().next();
        return signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(own));
    }

    private static String opened(byte[] envelope, byte[] pkcs8) throws Exception {
        PrivateKey key = BouncyCastleProvider.getPrivateKey(PrivateKeyInfo.getInstance(pkcs8));
        RecipientInformation recipient =
            new CMSEnvelopedData(envelope).getRecipientInfos().getRecipients().iterator().next();
        return new String(recipient.getContent(new JceKEMEnvelopedRecipient(key).setProvider("BC")));
    }

    private static X509CertificateHolder certificate(String file) throws Exception {
        return (X509CertificateHolder) pem(file);
    }

    private static Object pem(String file) throws Exception {
        try (PEMParser parser = new PEMParser(new StringReader(Files.readString(Path.of(file))))) {
            return parser.readObject();
        }
    }

    private static byte[] octets(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    private static ContentVerifierProvider keyOf(X509CertificateHolder holder) throws Exception {
        return verifier(holder.getSubjectPublicKeyInfo());
    }

    private static ContentVerifierProvider verifier(SubjectPublicKeyInfo key) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider("BC").build(key);
    }
}

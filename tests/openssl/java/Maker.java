import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.Security;
import java.util.Collections;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v2CRLBuilder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.BasicOCSPRespBuilder;
import org.bouncycastle.cert.ocsp.CertificateID;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.OCSPRespBuilder;
import org.bouncycastle.cert.ocsp.RespID;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInfoGenerator;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKEMRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.DigestCalculator;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampResponseGenerator;
import org.bouncycastle.tsp.TimeStampTokenGenerator;

/** Makes, for each algorithm named, a self-signed certificate and messages: NAME.der, .p10, .crl, .cms, .ocsp and .tsr. */
public final class Maker {
    private static final byte[] CONTENT = "what is signed".getBytes();

    public static void main(String[] names) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (String name : names) {
            if (name.startsWith("ML-KEM")) {
                seal(name);
            } else {
                make(name);
            }
        }
    }

    private static void make(String name) throws Exception {
        KeyPair pair = KeyPairGenerator.getInstance(name, "BC").generateKeyPair();
        ContentSigner signer = new JcaContentSignerBuilder(name).setProvider("BC").build(pair.getPrivate());
        X509CertificateHolder own = certificate(name, pair, signer);
        write(name + ".der", own.getEncoded());
        write(
            name + ".p10",
            new JcaPKCS10CertificationRequestBuilder(own.getSubject(), pair.getPublic()).build(signer).getEncoded());
        Date today = new Date();
        X509v2CRLBuilder revoked = new X509v2CRLBuilder(own.getSubject(), today);
        revoked.setNextUpdate(new Date(today.getTime() + 3600000L));
        revoked.addCRLEntry(BigInteger.valueOf(7), today, 4);
        write(name + ".crl", revoked.build(signer).getEncoded());

        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        SignerInfoGenerator info = new JcaSignerInfoGeneratorBuilder(digests).build(signer, own);

        CMSSignedDataGenerator messages = new CMSSignedDataGenerator();
        messages.addSignerInfoGenerator(info);
        messages.addCertificate(own);
        CMSSignedData message = messages.generate(new CMSProcessableByteArray(CONTENT), true);
        write(name + ".cms", message.toASN1Structure().getEncoded("DER"));

        DigestCalculator sha1 = digests.get(CertificateID.HASH_SHA1);
        BasicOCSPRespBuilder answers = new BasicOCSPRespBuilder(new RespID(own.getSubject()));
        Date now = new Date();
        Date end = new Date(now.getTime() + 3600000L);
        answers.addResponse(new CertificateID(sha1, own, BigInteger.valueOf(7)), CertificateStatus.GOOD, now, end);
        BasicOCSPResp basic = answers.build(signer, new X509CertificateHolder[] {own}, now);
        OCSPResp answer = new OCSPRespBuilder().build(OCSPRespBuilder.SUCCESSFUL, basic);
        write(name + ".ocsp", answer.getEncoded());

        TimeStampTokenGenerator tokens =
            new TimeStampTokenGenerator(info, sha1, new ASN1ObjectIdentifier("1.2.3.4.1"));
        tokens.addCertificates(new JcaCertStore(List.of(own)));
        TimeStampResponseGenerator stamps =
            new TimeStampResponseGenerator(tokens, Collections.singleton("2.16.840.1.101.3.4.2.1"));
        TimeStampRequestGenerator queries = new TimeStampRequestGenerator();
        queries.setCertReq(true);
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(CONTENT);
        ASN1ObjectIdentifier sha256 = new ASN1ObjectIdentifier("2.16.840.1.101.3.4.2.1");
        write(name + ".tsr", stamps.generate(queries.generate(sha256, hash), BigInteger.ONE, now).getEncoded());
    }

    /** Writes a new key in two halves, and what only it opens: NAME.pkcs8, .spki and .sealed. */
    private static void seal(String name) throws Exception {
        KeyPair pair = KeyPairGenerator.getInstance(name, "BC").generateKeyPair();
        SubjectPublicKeyInfo spki = SubjectPublicKeyInfo.getInstance(pair.getPublic().getEncoded());
        byte[] identifier = new JcaX509ExtensionUtils().createSubjectKeyIdentifier(spki).getKeyIdentifier();
        ASN1ObjectIdentifier wrap =
            name.endsWith("-512") ? NISTObjectIdentifiers.id_aes128_wrap : NISTObjectIdentifiers.id_aes256_wrap;
        CMSEnvelopedDataGenerator envelopes = new CMSEnvelopedDataGenerator();
        envelopes.addRecipientInfoGenerator(
            new JceKEMRecipientInfoGenerator(identifier, pair.getPublic(), wrap)
                .setKDF(new AlgorithmIdentifier(PKCSObjectIdentifiers.id_alg_hkdf_with_sha256))
                .setProvider("BC"));
        CMSEnvelopedData envelope =
            envelopes.generate(
                new CMSProcessableByteArray(CONTENT),
                new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider("BC").build());
        write(name + ".sealed", envelope.toASN1Structure().getEncoded("DER"));
        write(name + ".spki", spki.getEncoded());
        write(name + ".pkcs8", pair.getPrivate().getEncoded());
    }

    private static X509CertificateHolder certificate(String name, KeyPair pair, ContentSigner signer)
        throws Exception {
        X500Name subject = new X500Name("CN=" + name);
        Date start = new Date(System.currentTimeMillis() - 3600000L);
        Date end = new Date(start.getTime() + 86400000L);
        return new JcaX509v3CertificateBuilder(subject, BigInteger.TWO, start, end, subject, pair.getPublic())
            .addExtension(
                Extension.extendedKeyUsage, true, new ExtendedKeyUsage(KeyPurposeId.id_kp_timeStamping))
            .build(signer);
    }

    private static void write(String file, byte[] octets) throws Exception {
        Files.write(Path.of(file), octets);
    }
}
